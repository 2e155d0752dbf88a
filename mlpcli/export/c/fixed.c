/* Networks in fixed-point arithmetic: a value is an integer divided by a power of two. `fixed.py` copies these functions. */

/* v / 2^shift, rounded to the nearest integer and saturated to int32. */
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

/* x * 2^bits as an integer, saturated to int32. */
static int32_t fixed(float x, int bits)
{
    const float scaled = x * (float)((int64_t)1 << bits);
    if (scaled >= 2147483520.0f)
        return 2147483647;
    if (scaled <= -2147483520.0f)
        return -2147483647;
    return (int32_t)(scaled < 0.0f ? scaled - 0.5f : scaled + 0.5f);
}

/* z = W x + b with 16-bit weights, 32-bit values and 64-bit sums, which fewer than 65536 inputs cannot overflow. */
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
/* 2^24 / (1 + exp(-z)), interpolated linearly between 513 values from 0 to 16. */
static int32_t fixed_logistic(int32_t z, int bits)
{
    const int64_t size = z < 0 ? -(int64_t)z : z;
    const int64_t position = bits > 24 ? size >> (bits - 24) : size << (24 - bits); /* |z| * 2^24 */
    const int64_t step = (int64_t)1 << 19;
    int64_t y = logistic_table[512];
    if (position < 512 * step) {
        const int64_t k = position / step;
        y = logistic_table[k] + ((logistic_table[k + 1] - logistic_table[k]) * (position % step)) / step;
    }
    return (int32_t)(z < 0 ? ((int64_t)1 << 24) - y : y);
}
