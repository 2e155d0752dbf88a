/* Networks in integers: a value is its integer over a power of two. `fixed.py` takes these functions as they are. */

/* The integer at another power of two, rounded to the nearest, ends at the bounds of int32. */
static int32_t shifted(int64_t v, int shift)
{
    const int64_t most = 2147483647;
    if (shift > 62)
        return 0;
    if (shift > 0)
        v = (v + ((int64_t)1 << (shift - 1))) >> shift;
    for (; shift < 0; shift++) {
        if (v > most || v < -most)
            break;
        v *= 2;
    }
    return (int32_t)(v > most ? most : v < -most ? -most : v);
}

/* An input as an integer over 2^bits. */
static int32_t fixed(float x, int bits)
{
    const float scaled = x * (float)((int64_t)1 << bits);
    if (scaled >= 2147483520.0f)
        return 2147483647;
    if (scaled <= -2147483520.0f)
        return -2147483647;
    return (int32_t)(scaled < 0.0f ? scaled - 0.5f : scaled + 0.5f);
}

/* z = W x + b: weights of 16 bits, values of 32, sums of 64, which fewer than 65536 inputs cannot overflow. */
static void fixed_dense(const int32_t *x, int n_in, const int16_t *w, const int64_t *b, const int *shifts, int n_out,
                        int32_t *z)
{
    int i, j;
    for (j = 0; j < n_out; j++, w += n_in) {
        int64_t sum = b[j];
        for (i = 0; i < n_in; i++)
            sum += (int64_t)w[i] * x[i];
        z[j] = shifted(sum, shifts[j]);
    }
}

// fixed_logistic
/* 1 / (1 + exp(-z)) over 2^24, on the lines between 513 values from 0 to 16. */
static int32_t fixed_logistic(int32_t z, int bits)
{
    const int64_t size = z < 0 ? -(int64_t)z : z;
    const int64_t place = bits > 24 ? size >> (bits - 24) : size << (24 - bits); /* over 2^24 */
    const int64_t step = (int64_t)1 << 19;
    int64_t y = logistic_table[512];
    if (place < 512 * step) {
        const int64_t k = place / step;
        y = logistic_table[k] + ((logistic_table[k + 1] - logistic_table[k]) * (place % step)) / step;
    }
    return (int32_t)(z < 0 ? ((int64_t)1 << 24) - y : y);
}
