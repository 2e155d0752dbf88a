/* Functions of exported models, each after a line with its name. `source.py` copies those that a model needs. */

// root
/* Square root by Newton's method, starting from half the exponent. */
static double root(double v)
{
    uint64_t bits;
    double r;
    int i;
    if (!(v > 0.0))
        return 0.0;
    memcpy(&bits, &v, sizeof bits);
    bits = (bits >> 1) + ((uint64_t)1023 << 51);
    memcpy(&r, &bits, sizeof r);
    for (i = 0; i < 5; i++)
        r = 0.5 * (r + v / r);
    return r;
}

// logarithm
/* Natural logarithm of v > 0 with mantissa m: exponent * log(2) + 2 artanh((m - 1) / (m + 1)). */
static double logarithm(double v)
{
    uint64_t bits;
    double m, t, square, sum = 0.0;
    int exponent, k;
    if (v < 1e-300)
        return logarithm(v * 18014398509481984.0) - 54.0 * 0.69314718055994531;
    memcpy(&bits, &v, sizeof bits);
    exponent = (int)(bits >> 52) - 1023;
    bits = (bits & (((uint64_t)1 << 52) - 1)) | ((uint64_t)1023 << 52);
    memcpy(&m, &bits, sizeof m);
    if (m > 1.4142135623730951) {
        m *= 0.5;
        exponent++;
    }
    t = (m - 1.0) / (m + 1.0);
    square = t * t;
    for (k = 21; k >= 1; k -= 2)
        sum = sum * square + 1.0 / k;
    return 2.0 * t * sum + exponent * 0.69314718055994531;
}

// exponential
/* 2^k exp(r), with the power series of exp for |r| <= log(2) / 2. */
static double exponential(double v)
{
    double r, sum = 1.0, scale;
    uint64_t bits;
    int k, n;
    if (v < -700.0)
        return 0.0;
    if (v > 709.782712893384)
        v = 709.782712893384;
    k = (int)(v * 1.4426950408889634 + (v < 0.0 ? -0.5 : 0.5));
    r = v - k * 0.693147180369123816490 - k * 1.90821492927058770002e-10;
    for (n = 14; n >= 1; n--)
        sum = sum * r / n + 1.0;
    bits = (uint64_t)(k / 2 + 1023) << 52;
    memcpy(&scale, &bits, sizeof scale);
    sum *= scale;
    bits = (uint64_t)(k - k / 2 + 1023) << 52;
    memcpy(&scale, &bits, sizeof scale);
    return sum * scale;
}

// floored
static double floored(double v)
{
    const double whole = (double)(int64_t)v;
    return whole > v ? whole - 1.0 : whole;
}

// is_text
static int is_text(const char *cell, const char *const *texts, int n)
{
    int i;
    for (i = 0; i < n; i++)
        if (strcmp(cell, texts[i]) == 0)
            return i + 1;
    return 0;
}

// is_word
/* As is_text, ignoring the case of ASCII letters. */
static int is_word(const char *cell, const char *const *words, int n)
{
    int i;
    for (i = 0; i < n; i++) {
        const char *a = cell, *b = words[i];
        while (*a && (*a == *b || (*a >= 'A' && *a <= 'Z' && *a - 'A' + 'a' == *b))) {
            a++;
            b++;
        }
        if (!*a && !*b)
            return i + 1;
    }
    return 0;
}

// is_number
static int is_number(double v, const double *numbers, int n)
{
    int i;
    for (i = 0; i < n; i++)
        if (v == numbers[i])
            return 1;
    return 0;
}

// clipped
/* z / sqrt(1 + (z / clip)^2) */
static double clipped(double z, double clip)
{
    double u = z / clip;
    u = u > 1e100 ? 1e100 : u < -1e100 ? -1e100 : u;
    return u / root(1.0 + u * u) * clip;
}

// interpolate
/* Piecewise linear interpolation at v, constant beyond the first and the last knot. */
static double interpolate(double v, const double *knots, const double *heights, int n)
{
    int low = 0, high = n - 1;
    if (v <= knots[0])
        return heights[0];
    if (v >= knots[n - 1])
        return heights[n - 1];
    while (high - low > 1) {
        const int middle = (low + high) / 2;
        if (v < knots[middle])
            high = middle;
        else
            low = middle;
    }
    return (heights[high] - heights[low]) / (knots[high] / 2 - knots[low] / 2) * (v / 2 - knots[low] / 2) + heights[low];
}

// bins
/* The fraction to which v fills each bin, scaled to [-span, span]; from 0 to 1 if span is 0. */
static void bins(double v, const double *edges, int n, double span, float *x)
{
    int i;
    for (i = 0; i < n; i++) {
        double part = (v / 2 - edges[i] / 2) / (edges[i + 1] / 2 - edges[i] / 2);
        part = part < 0.0 ? 0.0 : part > 1.0 ? 1.0 : part;
        x[i] = (float)(span > 0.0 ? (2.0 * part - 1.0) * span : part);
    }
}

// cycles
/* Sine and cosine of the position in the year, the week from Monday and the day (H. Hinnant, civil_from_days). */
static void cycles(double days, int has_time, float *x)
{
    const double whole = floored(days);
    const int64_t z = (int64_t)whole + 719468, era = (z >= 0 ? z : z - 146096) / 146097;
    const int64_t day = z - era * 146097, year = (day - day / 1460 + day / 36524 - day / 146096) / 365;
    const int64_t from_march = day - (365 * year + year / 4 - year / 100);
    const int is_leap = year % 4 == 0 && (year % 100 != 0 || year == 0);
    const int64_t of_year = from_march >= 306 ? from_march - 306 : from_march + 59 + is_leap;
    const double week = whole + 3.0 - 7.0 * floored((whole + 3.0) / 7.0);
    const double turns[3] = {(double)of_year / 365.25, week / 7.0, days - whole};
    int i;
    for (i = 0; i < 2 + has_time; i++) {
        const float angle = (float)(6.283185307179586 * turns[i]);
        x[2 * i] = cosf(angle - 1.5707963267948966f);
        x[2 * i + 1] = cosf(angle);
    }
}

// dense
/* Outputs that are summed together, which a compiler keeps in registers. */
enum { DENSE_BLOCK = 8 };

/* z = W x + b; the weights of one input are contiguous, and inputs that are 0 are skipped. */
static void dense(const float *restrict x, int n_in, const float *restrict w, const float *restrict b, int n_out,
                  float *restrict z)
{
    int i, j, start;
    if (n_out < DENSE_BLOCK) {
        memcpy(z, b, (size_t)n_out * sizeof *z);
        for (i = 0; i < n_in; i++, w += n_out)
            if (x[i] != 0.0f)
                for (j = 0; j < n_out; j++)
                    z[j] += x[i] * w[j];
        return;
    }
    for (start = 0; start < n_out; start += DENSE_BLOCK) {
        const int first = start + DENSE_BLOCK <= n_out ? start : n_out - DENSE_BLOCK; /* the last block may overlap */
        float sums[DENSE_BLOCK];
        memcpy(sums, b + first, sizeof sums);
        for (i = 0; i < n_in; i++) {
            const float xi = x[i];
            const float *v = w + (size_t)i * (size_t)n_out + first; /* never beyond the end of the weights */
            if (xi != 0.0f)
                for (j = 0; j < DENSE_BLOCK; j++)
                    sums[j] += xi * v[j];
        }
        memcpy(z + first, sums, sizeof sums);
    }
}

// sloped
/* z + s (f(z) - z) */
static void sloped(const float *z, const float *slopes, int n, float *a)
{
    int i;
    for (i = 0; i < n; i++)
        a[i] = z[i] + slopes[i] * (a[i] - z[i]);
}

// scaled
static void scaled(const float *factors, int n, float *x)
{
    int i;
    for (i = 0; i < n; i++)
        x[i] *= factors[i];
}

// selected
static void selected(const float *x, const int *indices, int n, float *h)
{
    int i;
    for (i = 0; i < n; i++)
        h[i] = x[indices[i]];
}

// added
static void added(const float *x, int n, float *h)
{
    int i;
    for (i = 0; i < n; i++)
        h[i] += x[i];
}

// embedded
/* The one-hot inputs of a column times its embedding table (n_levels, size). */
static void embedded(const float *x, const float *table, int n_levels, int size, float *h)
{
    int i, j;
    for (j = 0; j < size; j++)
        h[j] = 0.0f;
    for (i = 0; i < n_levels; i++)
        if (x[i] != 0.0f)
            for (j = 0; j < size; j++)
                h[j] += x[i] * table[i * size + j];
}

// periodic
/* x, followed by mixing cos(frequency x_i + phase) + offset for each column. */
static void periodic(const float *x, int n_in, const int *columns, int n_columns, const float *frequency,
                     const float *phase, int n_waves, const float *mixing, const float *offset, int n_out, float *h)
{
    int i, j, k;
    memcpy(h, x, (size_t)n_in * sizeof *h);
    for (i = 0; i < n_columns; i++) {
        float *out = h + n_in + i * n_out;
        memcpy(out, offset + i * n_out, (size_t)n_out * sizeof *out);
        for (k = 0; k < n_waves; k++) {
            const float wave = cosf(x[columns[i]] * frequency[i * n_waves + k] + phase[i * n_waves + k]);
            for (j = 0; j < n_out; j++)
                out[j] += mixing[(i * n_out + j) * n_waves + k] * wave;
        }
    }
}

// layer_norm
static void layer_norm(const float *gain, const float *shift, int n, double epsilon, float *x)
{
    double mean = 0.0, variance = 0.0, scale;
    int i;
    for (i = 0; i < n; i++)
        mean += x[i];
    mean /= n;
    for (i = 0; i < n; i++)
        variance += (x[i] - mean) * (x[i] - mean);
    scale = 1.0 / root(variance / n + epsilon);
    for (i = 0; i < n; i++)
        x[i] = (float)((x[i] - mean) * scale) * gain[i] + shift[i];
}

// softmax
static void softmax(int n, float *z)
{
    float highest = z[0], total = 0.0f;
    int i;
    for (i = 1; i < n; i++)
        highest = z[i] > highest ? z[i] : highest;
    for (i = 0; i < n; i++) {
        z[i] = expf(z[i] - highest < -70.0f ? -70.0f : z[i] - highest);
        total += z[i];
    }
    for (i = 0; i < n; i++)
        z[i] /= total;
}

// logistic
static float logistic(float z)
{
    return 1.0f / (1.0f + expf(-z > 80.0f ? 80.0f : -z));
}

// f_sigmoid
static float f_sigmoid(float z)
{
    return logistic(z);
}

// f_tanh
static float f_tanh(float z)
{
    return tanhf(z);
}

// f_relu
static float f_relu(float z)
{
    return z > 0.0f ? z : 0.0f;
}

// f_leaky_relu
static float f_leaky_relu(float z)
{
    return z > 0.0f ? z : 0.01f * z;
}

// f_elu
static float f_elu(float z)
{
    return z > 0.0f ? z : (float)(exponential(z) - 1.0);
}

// f_selu
static float f_selu(float z)
{
    return z > 0.0f ? 1.0507009873554805f * z : (float)(1.0507009873554805 * 1.6732632423543772 * (exponential(z) - 1.0));
}

// f_softplus
static float f_softplus(float z)
{
    const double size = z < 0.0f ? -(double)z : z;
    return (float)((z > 0.0f ? z : 0.0) + logarithm(1.0 + exponential(-size)));
}

// f_silu
static float f_silu(float z)
{
    return z * logistic(z);
}

// f_gelu
static float f_gelu(float z)
{
    return 0.5f * z * (1.0f + tanhf(0.7978845608028654f * z * (1.0f + 0.044715f * z * z)));
}

// f_mish
static float f_mish(float z)
{
    const float e = expf(z > 20.0f ? 20.0f : z < -70.0f ? -70.0f : z);
    return z * e * (e + 2.0f) / (e * (e + 2.0f) + 2.0f);
}

// f_exp
static float f_exp(float z)
{
    return expf(z);
}

// normalize
/* Divides values by their sum. */
static void normalize(int n, double *values)
{
    double total = 0.0;
    int i;
    for (i = 0; i < n; i++)
        total += values[i];
    for (i = 0; i < n; i++)
        values[i] /= total;
}

// tempered
/* p^(1 / temperature), normalized. */
static void tempered(int n, double temperature, double *p)
{
    double highest = p[0];
    int i;
    for (i = 1; i < n; i++)
        highest = p[i] > highest ? p[i] : highest;
    for (i = 0; i < n; i++)
        p[i] = p[i] > 0.0 ? exponential((logarithm(p[i]) - logarithm(highest)) / temperature) : 0.0;
    normalize(n, p);
}

// probabilities
/* Leaves outputs that sum to 1 unchanged; clips others at 0 and normalizes them. */
static void probabilities(int n, double *p)
{
    double total = 0.0, highest = p[0];
    int i, is_any_below = 0;
    for (i = 0; i < n; i++) {
        total += p[i];
        highest = p[i] > highest ? p[i] : highest;
        is_any_below |= p[i] < 0.0;
    }
    if (total - 1.0 <= 1e-5 && total - 1.0 >= -1e-5 && !is_any_below)
        return;
    for (i = 0; i < n; i++)
        p[i] = (p[i] > 0.0 ? p[i] : 0.0) + (highest <= 0.0 ? 1.0 : 0.0);
    normalize(n, p);
}

// upper_end
/* The `needed`-th smallest sum of prediction and score over all folds, found by removing the largest ones in turn. */
static double upper_end(const double *predictions, int n_folds, const int *firsts, const double *scores,
                        const int64_t *counts, int64_t needed)
{
    int stop[64], fold, i;
    int64_t n = 0;
    double end = HUGE_VAL;
    for (i = firsts[0]; i < firsts[n_folds]; i++)
        n += counts[i];
    for (fold = 0; fold < n_folds; fold++)
        stop[fold] = firsts[fold + 1];
    while (n >= needed) {
        int last = -1;
        for (fold = 0; fold < n_folds; fold++)
            if (stop[fold] > firsts[fold]) {
                const double sum = predictions[fold] + scores[stop[fold] - 1];
                if (last < 0 || sum > end) {
                    end = sum;
                    last = fold;
                }
            }
        n -= counts[--stop[last]];
    }
    return end;
}

// contains
/* Whether fewer than `needed` calibration rows have a lower score than a label, whose score is `own` in each fold. */
static int contains(const double *own, int n_folds, const int *firsts, const double *scores, const int64_t *counts,
                   int64_t needed)
{
    int fold, i;
    int64_t n = 0;
    for (fold = 0; fold < n_folds; fold++)
        for (i = firsts[fold]; i < firsts[fold + 1]; i++)
            if (scores[i] < own[fold])
                n += counts[i];
    return n < needed;
}
