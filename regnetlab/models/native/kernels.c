/* Training and evaluation of AnyNets on one CPU core.
 *
 * A tensor is [block][pixel][channel][lane]: LANES images lie side by side in the innermost place, so every
 * operation on every shape is a loop over full vectors. One convolution routine serves 1x1 and grouped 3x3,
 * forwards and backwards: each target pixel has a list of (source pixel, tap). Batch norm's sums are taken
 * while a convolution's results are still in registers. Every sum has one order, whatever the vector width.
 *
 * Needs GNU C's vector types (gcc or clang). engine.py describes the network and owns parameters and gradients.
 */
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#ifndef LANES
#define LANES 64
#endif
#define VECTOR 16
#define LV (LANES / VECTOR)
#ifdef __AVX512F__
#define TILE_V LV /* vectors of a lane row that a tile keeps in registers */
#define OUTS 6    /* weight gradients are summed in tiles of OUTS x INS channels */
#define INS 4
#define IN_REGISTER(x) __asm__("" : "+v"(x)) /* gcc would read it anew for every product: a fifth slower */
#else
#define TILE_V 1
#define OUTS 2
#define INS 2
#define IN_REGISTER(x)
#endif
#define TILE 6 /* output channels of a tile */
#define PANEL (32 / LV) /* pixels of which all weight gradients are summed before the next: they stay in cache */
#define SUMS 4096       /* weights summed at once, a vector each, so that these stay in the L2 cache, too */
#define INLINE static inline __attribute__((always_inline))

typedef float vec __attribute__((vector_size(4 * VECTOR), aligned(4 * VECTOR)));
typedef int32_t mask __attribute__((vector_size(4 * VECTOR), aligned(4 * VECTOR)));

/* x where `gate` is above 0, else 0. A gate that is no number lets x through: divergence must stay visible. */
INLINE vec rectified(vec x, vec gate) { return (vec)((mask)x & ~(gate <= 0)); }

/* Halves are added until one number is left. */
INLINE float total(vec v) {
    typedef float half __attribute__((vector_size(2 * VECTOR), aligned(2 * VECTOR), may_alias));
    typedef float quarter __attribute__((vector_size(VECTOR), aligned(VECTOR), may_alias));
    half h = ((half *)&v)[0] + ((half *)&v)[1];
    quarter q = ((quarter *)&h)[0] + ((quarter *)&h)[1];
    return (q[0] + q[2]) + (q[1] + q[3]);
}

typedef struct {
    int cin, cout, groups, taps, pixels_in, pixels_out, middle;
    int64_t weight, norm, stat; /* places in the parameters and in the statistics */
    int *first, *source, *tap;  /* of output pixel t: entries first[t] to first[t + 1] */
    int *back_first, *back_source, *back_tap;
    int *pair_first, *pair_target, *pair_source; /* the same by tap: entries pair_first[k] to pair_first[k + 1] */
    vec *out, *on; /* the convolution's output; on: behind batch norm and ReLU */
} Conv;

typedef struct {
    Conv conv1, conv2, conv3, shortcut;
    int has_shortcut;
    vec *out;
} Block;

typedef struct {
    int n_blocks, most, classes, width, stats;
    int64_t bias, fc;
    Conv stem;
    Block *blocks;
    vec *image, *pool, *logits;
    vec *grad[5];     /* scratch: of the block's output and input, and inside a block */
    float *packed, *folded;
    vec *sums;        /* three a channel of the widest tensor */
    vec *weight_sums; /* see SUMS */
    float *scale, *shift, *mean, *invstd; /* of every norm's channels */
    float eps;
} Net;

static void *reserve(size_t bytes) {
    size_t rounded = (bytes + 63) / 64 * 64 + 64;
    return aligned_alloc(64, rounded);
}

static vec *tensor(int blocks, int pixels, int channels) {
    return reserve((size_t)blocks * pixels * channels * LANES * sizeof(float));
}

/* ---- geometry ------------------------------------------------------------------------------------ */

static int size_out(int size, int stride) { return (size + stride - 1) / stride; }

static int lists(Conv *c, int h, int w, int kernel, int stride) {
    int ho = size_out(h, stride), wo = size_out(w, stride), pad = kernel / 2, n = 0;
    c->taps = kernel * kernel;
    c->pixels_in = h * w;
    c->pixels_out = ho * wo;
    c->middle = ho / 2 * wo + wo / 2;
    int most = c->pixels_out * c->taps;
    c->first = reserve((c->pixels_out + 1) * sizeof(int));
    c->source = reserve(most * sizeof(int));
    c->tap = reserve(most * sizeof(int));
    c->back_first = reserve((c->pixels_in + 1) * sizeof(int));
    c->back_source = reserve(most * sizeof(int));
    c->back_tap = reserve(most * sizeof(int));
    c->pair_first = reserve((c->taps + 1) * sizeof(int));
    c->pair_target = reserve(most * sizeof(int));
    c->pair_source = reserve(most * sizeof(int));
    int *next = reserve((c->pixels_in + 1) * sizeof(int));
    if (!c->first || !c->source || !c->tap || !c->back_first || !c->back_source || !c->back_tap || !c->pair_first ||
        !c->pair_target || !c->pair_source || !next) {
        free(next);
        return 0;
    }
    for (int y = 0; y < ho; y++)
        for (int x = 0; x < wo; x++) {
            c->first[y * wo + x] = n;
            for (int k = 0; k < c->taps; k++) {
                int sy = y * stride + k / kernel - pad, sx = x * stride + k % kernel - pad;
                if (sy < 0 || sy >= h || sx < 0 || sx >= w) continue;
                c->source[n] = sy * w + sx;
                c->tap[n++] = k;
            }
        }
    c->first[c->pixels_out] = n;
    memset(c->back_first, 0, (c->pixels_in + 1) * sizeof(int));
    for (int e = 0; e < n; e++) c->back_first[c->source[e] + 1]++;
    for (int p = 0; p < c->pixels_in; p++) c->back_first[p + 1] += c->back_first[p];
    memcpy(next, c->back_first, c->pixels_in * sizeof(int));
    for (int t = 0; t < c->pixels_out; t++)
        for (int e = c->first[t]; e < c->first[t + 1]; e++) {
            int at = next[c->source[e]]++;
            c->back_source[at] = t;
            c->back_tap[at] = c->tap[e];
        }
    free(next);
    n = 0;
    for (int k = 0; k < c->taps; k++) {
        c->pair_first[k] = n;
        for (int t = 0; t < c->pixels_out; t++)
            for (int e = c->first[t]; e < c->first[t + 1]; e++)
                if (c->tap[e] == k) {
                    c->pair_target[n] = t;
                    c->pair_source[n++] = c->source[e];
                }
    }
    c->pair_first[c->taps] = n;
    return 1;
}

/* ---- convolution: forwards, and backwards to its input ------------------------------------------- */

enum { GUESS, STATS, FOLDED, FOLDED_RELU, MASK, ADD };

typedef struct {
    vec *target;
    vec *sum, *square;         /* STATS: sums of values and squares; MASK: of values and value * other */
    const vec *other;          /* MASK: the convolution's output; FOLDED*, ADD: what is added, or none */
    const float *scale, *shift; /* MASK: the norm's */
    float *start;               /* STATS, FOLDED*: what each channel's results start at; GUESS writes it */
} Ending;

/* Where channel counts end a tile early, tiles of one group are as even as can be. */
INLINE int tile_of(int channels, int at, int most) {
    int tiles = (channels + most - 1) / most, small = channels / tiles, large = channels % tiles;
    return at < large * (small + 1) ? small + 1 : small;
}

/* Groups of 1 or 2 channels share a tile of 4: alone, each sum would wait for its own last addition. */
INLINE int groups_of(int channels, int left) {
    int most = channels == 1 ? 4 : channels == 2 ? 2 : 1;
    return left < most ? 1 : most;
}

/* Weights of each tile as [tap][input channel][output channel]. `back`: the transpose, for gradients. */
static void pack(const Conv *c, const float *weight, float *packed, int back) {
    int cin = c->cin / c->groups, cout = c->cout / c->groups;
    int from = back ? cout : cin, to = back ? cin : cout;
    for (int g = 0, gt; g < c->groups; g += gt) {
        gt = groups_of(to, c->groups - g);
        for (int t0 = 0, ct; t0 < to; t0 += ct) {
            ct = tile_of(to, t0, TILE);
            for (int k = 0; k < c->taps; k++)
                for (int f = 0; f < from; f++)
                    for (int q = g; q < g + gt; q++)
                        for (int j = t0; j < t0 + ct; j++) {
                            int out = back ? f : j, in = back ? j : f;
                            *packed++ = weight[((int64_t)(q * cout + out) * cin + in) * c->taps + k];
                        }
        }
    }
}

INLINE void finish(const int ending, const Ending *end, int64_t at, int v0, int v, vec value) {
    vec *target = end->target + at * LV + v0 + v;
    if (ending == FOLDED || ending == FOLDED_RELU) {
        if (end->other) value += end->other[at * LV + v0 + v];
        if (ending == FOLDED_RELU) value = rectified(value, value);
    }
    if (ending == ADD && end->other) value += end->other[at * LV + v0 + v];
    *target = value;
}

/* Of `groups` groups, `each` output channels. */
INLINE void convolve_tile(const int groups, const int each, const int ending, const vec *source, const float *packed,
                          const int *from, const int *taps, int entries, int64_t stride, int cin, int64_t at,
                          int channel, const Ending *end) {
    const int ct = groups * each, width = ending == GUESS ? 1 : TILE_V;
    if (groups > 1) cin = each;
    for (int v0 = 0; v0 < (ending == GUESS ? 1 : LV); v0 += width) {
        vec acc[TILE][TILE_V];
#pragma GCC unroll 6
        for (int j = 0; j < ct; j++)
#pragma GCC unroll 4
            for (int v = 0; v < width; v++) 
                acc[j][v] = (vec){0} + (ending == GUESS || ending == MASK || ending == ADD ? 0 : end->start[channel + j]);
        for (int e = 0; e < entries; e++) {
            const vec *s = source + from[e] * stride + v0;
            const float *w = packed + (int64_t)taps[e] * cin * ct;
            for (int i = 0; i < cin; i++, s += LV, w += ct)
#pragma GCC unroll 6
                for (int j = 0; j < ct; j++)
#pragma GCC unroll 4
                    for (int v = 0; v < width; v++) acc[j][v] += w[j] * s[j / each * cin * LV + v];
        }
#pragma GCC unroll 6
        for (int j = 0; j < ct; j++) {
            if (ending == GUESS) {
                end->start[channel + j] = -total(acc[j][0]) / VECTOR;
                continue;
            }
            if (ending == STATS) {
                vec sum = end->sum[channel + j], square = end->square[channel + j];
#pragma GCC unroll 4
                for (int v = 0; v < width; v++) {
                    sum += acc[j][v];
                    square += acc[j][v] * acc[j][v];
                }
                end->sum[channel + j] = sum;
                end->square[channel + j] = square;
            }
            if (ending == MASK) {
                vec sum = end->sum[channel + j], product = end->square[channel + j];
                float scale = end->scale[channel + j], shift = end->shift[channel + j];
#pragma GCC unroll 4
                for (int v = 0; v < width; v++) {
                    vec a = end->other[(at + j) * LV + v0 + v];
                    acc[j][v] = rectified(acc[j][v], a * scale + shift);
                    sum += acc[j][v];
                    product += acc[j][v] * a;
                }
                end->sum[channel + j] = sum;
                end->square[channel + j] = product;
            }
#pragma GCC unroll 4
            for (int v = 0; v < width; v++) finish(ending, end, at + j, v0, v, acc[j][v]);
        }
    }
}

INLINE void convolve_all(const int ending, const vec *source, const float *packed, int blocks, int targets,
                         int sources, const int *first, const int *from, const int *taps, int n_taps, int groups,
                         int cin, int cout, const Ending *end) {
    int64_t stride = (int64_t)groups * cin * LV;
    for (int b = 0; b < blocks; b++)
        for (int t = 0; t < targets; t++) {
            int e = first[t], entries = first[t + 1] - e;
            int64_t pixel = ((int64_t)b * targets + t) * groups * cout;
            const vec *base = source + (int64_t)b * sources * stride;
            for (int g = 0, gt; g < groups; g += gt) {
                gt = groups_of(cout, groups - g);
                for (int c0 = 0, ct; c0 < cout; c0 += ct) {
                    ct = tile_of(cout, c0, TILE);
                    int channel = g * cout + c0;
#define CASE(a, b)                                                                                                   \
    case 8 * a + b:                                                                                                  \
        convolve_tile(a, b, ending, base + (int64_t)g * cin * LV, packed + (int64_t)channel * cin * n_taps,          \
                      from + e, taps + e, entries, stride, cin, pixel + channel, channel, end);                      \
        break;
                    switch (8 * gt + ct) {
                        CASE(1, 1) CASE(1, 2) CASE(1, 3) CASE(1, 4) CASE(1, 5) CASE(1, 6) CASE(2, 2) CASE(4, 1)
                    }
#undef CASE
                }
            }
        }
}

/* Minus the mean over 16 images at the middle pixel: results that start there have sums of squares that are as
 * exact where the mean is 30 standard deviations as where it is 0. */
static __attribute__((noinline)) void guess(const Conv *c, const vec *source, const float *packed, float *start) {
    Ending end = {.start = start};
    convolve_all(GUESS, source, packed, 1, 1, c->pixels_in, c->first + c->middle, c->source, c->tap, c->taps, c->groups,
                 c->cin / c->groups, c->cout / c->groups, &end);
}

#define FORWARD(NAME, ENDING)                                                                                        \
    static __attribute__((noinline)) void NAME(const Conv *c, const vec *source, const float *packed, int blocks,    \
                                               const Ending *end) {                                                  \
        convolve_all(ENDING, source, packed, blocks, c->pixels_out, c->pixels_in, c->first, c->source, c->tap,       \
                     c->taps, c->groups, c->cin / c->groups, c->cout / c->groups, end);                              \
    }
#define BACKWARD(NAME, ENDING)                                                                                       \
    static __attribute__((noinline)) void NAME(const Conv *c, const vec *source, const float *packed, int blocks,    \
                                               const Ending *end) {                                                  \
        convolve_all(ENDING, source, packed, blocks, c->pixels_in, c->pixels_out, c->back_first, c->back_source,     \
                     c->back_tap, c->taps, c->groups, c->cout / c->groups, c->cin / c->groups, end);                 \
    }
FORWARD(forward_stats, STATS)
FORWARD(forward_folded, FOLDED)
FORWARD(forward_folded_relu, FOLDED_RELU)
BACKWARD(backward_mask, MASK)
BACKWARD(backward_add, ADD)

/* ---- gradients of weights ------------------------------------------------------------------------ */

typedef struct {
    const vec *grad, *input;           /* of the tile's first channels */
    const int *target, *source;        /* the panel's pairs of pixels for one tap */
    int64_t grad_stride, input_stride; /* from pixel to pixel */
    int pairs, first, last;            /* first, last: panel of all */
} Panel;

/* Adds a panel to the sums of a tile; behind the last panel writes the gradients. */
INLINE void weight_tile(const int groups, const int outs, const int ins, const Panel *p, vec *sums, float *gradient,
                        int64_t row, int taps) {
    vec acc[OUTS < 4 ? 4 : OUTS][INS];
#pragma GCC unroll 8
    for (int i = 0; i < groups * outs; i++)
#pragma GCC unroll 4
        for (int j = 0; j < ins; j++) acc[i][j] = p->first ? (vec){0} : sums[i * ins + j];
    for (int e = 0; e < p->pairs; e++) {
        const vec *d = p->grad + p->target[e] * p->grad_stride, *x = p->input + p->source[e] * p->input_stride;
#pragma GCC unroll 4
        for (int v = 0; v < LV; v++)
#pragma GCC unroll 8
            for (int i = 0; i < groups * outs; i++) {
                vec one = d[i * LV + v];
                IN_REGISTER(one);
#pragma GCC unroll 4
                for (int j = 0; j < ins; j++) acc[i][j] += one * x[(i / outs * ins + j) * LV + v];
            }
    }
#pragma GCC unroll 8
    for (int i = 0; i < groups * outs; i++)
#pragma GCC unroll 4
        for (int j = 0; j < ins; j++) {
            if (p->last)
                gradient[i * row + j * taps] = total(acc[i][j]);
            else
                sums[i * ins + j] = acc[i][j];
        }
}

static void weight_tiles(const Conv *c, int from, int to, const Panel *panels, vec *sums, float *target) {
    int cin = c->cin / c->groups, cout = c->cout / c->groups;
    int64_t row = (int64_t)cin * c->taps;
    for (int o = from, gt, ot; o < to; o += gt * ot) {
        int g = o / cout;
        gt = groups_of(cout, c->groups - g), ot = tile_of(cout, o % cout, OUTS);
        for (int k = 0; k < c->taps; k++)
            for (int i = 0, it; i < cin; i += it) {
                it = tile_of(cin, i, INS);
                Panel p = panels[k];
                p.grad += o * LV, p.input += (g * cin + i) * LV;
                float *at = target + o * row + (int64_t)i * c->taps + k;
#define CASE(a, b, d)                                                                                                \
    case 64 * a + 8 * b + d: weight_tile(a, b, d, &p, sums, at, row, c->taps); break;
                switch (64 * gt + 8 * ot + it) {
                    CASE(4, 1, 1) CASE(2, 2, 2) CASE(1, 1, 1) CASE(1, 1, 2) CASE(1, 2, 1) CASE(1, 2, 2)
#if OUTS == 6
                    CASE(1, 1, 3) CASE(1, 1, 4) CASE(1, 2, 3) CASE(1, 2, 4) CASE(1, 3, 1) CASE(1, 3, 2)
                    CASE(1, 3, 3) CASE(1, 3, 4) CASE(1, 4, 1) CASE(1, 4, 2) CASE(1, 4, 3) CASE(1, 4, 4)
                    CASE(1, 5, 1) CASE(1, 5, 2) CASE(1, 5, 3) CASE(1, 5, 4) CASE(1, 6, 1) CASE(1, 6, 2)
                    CASE(1, 6, 3) CASE(1, 6, 4)
#endif
                }
#undef CASE
                sums += gt * ot * it;
            }
    }
}

/* For some output channels at a time, as many as there are sums for, panel after panel. */
static void weight_gradient(const Net *n, const Conv *c, const vec *grad, const vec *input, int blocks, float *target) {
    int cout = c->cout / c->groups;
    int64_t row = (int64_t)(c->cin / c->groups) * c->taps;
    for (int from = 0, to; from < c->cout; from = to) {
        for (to = from; to < c->cout && (to == from || (to - from + TILE) * row <= SUMS);)
            to += groups_of(cout, c->groups - to / cout) * tile_of(cout, to % cout, OUTS);
        for (int b = 0; b < blocks; b++) {
            Panel panels[9];
            for (int k = 0; k < c->taps; k++)
                panels[k] = (Panel){.grad = grad + (int64_t)b * c->pixels_out * c->cout * LV,
                                    .input = input + (int64_t)b * c->pixels_in * c->cin * LV,
                                    .target = c->pair_target + c->pair_first[k],
                                    .source = c->pair_source + c->pair_first[k],
                                    .grad_stride = c->cout * LV, .input_stride = c->cin * LV};
            for (int t = 0; t < c->pixels_out; t += PANEL) {
                for (int k = 0; k < c->taps; k++) {
                    Panel *p = panels + k;
                    const int *end = c->pair_target + c->pair_first[k + 1];
                    p->target += p->pairs, p->source += p->pairs, p->pairs = 0;
                    while (p->target + p->pairs < end && p->target[p->pairs] < t + PANEL) p->pairs++;
                    p->first = !b && !t, p->last = b == blocks - 1 && t + PANEL >= c->pixels_out;
                }
                weight_tiles(c, from, to, panels, n->weight_sums, target);
            }
        }
    }
}

/* ---- batch norm and ReLU ------------------------------------------------------------------------- */

/* Sums behind the convolution become scale and shift; `batch` gets mean and unbiased variance. Everywhere else
 * results and means are those less the guess. */
static void norm_forward(Net *n, const Conv *c, const float *params, const float *start, int blocks, float *batch) {
    double m = (double)blocks * c->pixels_out * LANES;
    for (int k = 0; k < c->cout; k++) {
        double sum = 0, square = 0;
        for (int i = 0; i < VECTOR; i++) {
            sum += n->sums[k][i];
            square += n->sums[n->most + k][i];
        }
        double mean = sum / m, variance = square / m - mean * mean;
        if (variance < 0) variance = 0;
        int64_t s = c->stat + k;
        n->mean[s] = (float)mean;
        n->invstd[s] = (float)(1 / sqrt(variance + n->eps));
        n->scale[s] = params[c->norm + k] * n->invstd[s];
        n->shift[s] = params[c->norm + c->cout + k] - n->mean[s] * n->scale[s];
        batch[s] = (float)(mean - start[k]);
        batch[n->stats + s] = (float)(variance * m / (m > 1 ? m - 1 : 1));
    }
}

static void norm_relu(const Net *n, const Conv *c, int blocks) {
    const float *scale = n->scale + c->stat, *shift = n->shift + c->stat;
    const vec *a = c->out;
    vec *y = c->on;
    for (int64_t p = (int64_t)blocks * c->pixels_out; p; p--)
        for (int k = 0; k < c->cout; k++, a += LV, y += LV)
#pragma GCC unroll 4
            for (int v = 0; v < LV; v++) {
                vec value = a[v] * scale[k] + shift[k];
                y[v] = rectified(value, value);
            }
}

/* relu(norm3(a) + x), where x is the input or norm4 of the shortcut's convolution. */
static void join(const Net *n, const Block *block, const vec *x, int blocks) {
    const Conv *c = &block->conv3;
    const float *scale = n->scale + c->stat, *shift = n->shift + c->stat;
    const float *scale4 = n->scale + block->shortcut.stat, *shift4 = n->shift + block->shortcut.stat;
    const vec *a = c->out, *other = block->has_shortcut ? block->shortcut.out : x;
    vec *y = block->out;
    for (int64_t p = (int64_t)blocks * c->pixels_out; p; p--)
        for (int k = 0; k < c->cout; k++, a += LV, other += LV, y += LV)
#pragma GCC unroll 4
            for (int v = 0; v < LV; v++) {
                vec value = a[v] * scale[k] + shift[k];
                value += block->has_shortcut ? other[v] * scale4[k] + shift4[k] : other[v];
                y[v] = rectified(value, value);
            }
}

/* The gradient through the last ReLU, in place, and what the norms in front of it need. */
static void split(Net *n, const Block *block, vec *grad, int blocks) {
    const Conv *c = &block->conv3;
    const vec *y = block->out, *a = c->out, *other = block->has_shortcut ? block->shortcut.out : a;
    vec *sum = n->sums, *product = sum + n->most, *product4 = product + n->most;
    for (int64_t p = (int64_t)blocks * c->pixels_out; p; p--)
        for (int k = 0; k < c->cout; k++, a += LV, other += LV, y += LV, grad += LV) {
            vec s = sum[k], sa = product[k], s4 = product4[k];
#pragma GCC unroll 4
            for (int v = 0; v < LV; v++) {
                vec d = rectified(grad[v], y[v]);
                grad[v] = d;
                s += d;
                sa += d * a[v];
                s4 += d * other[v];
            }
            sum[k] = s, product[k] = sa, product4[k] = s4;
        }
}

/* Gradients of scale and offset from the sums, and the gradient through the norm: c1 d + c2 a + c3. */
static void norm_backward(Net *n, const Conv *c, const vec *sum, const vec *product, const float *params,
                          float *grads, const vec *d, vec *target, int blocks) {
    double m = (double)blocks * c->pixels_out * LANES;
    float *c2 = n->folded, *c3 = c2 + c->cout;
    const float *c1 = n->scale + c->stat;
    (void)params;
    for (int k = 0; k < c->cout; k++) {
        double s = 0, sa = 0;
        for (int i = 0; i < VECTOR; i++) {
            s += sum[k][i];
            sa += product[k][i];
        }
        int64_t at = c->stat + k;
        double gamma = (sa - n->mean[at] * s) * n->invstd[at];
        grads[c->norm + k] = (float)gamma;
        grads[c->norm + c->cout + k] = (float)s;
        double second = -n->scale[at] * (double)n->invstd[at] * gamma / m;
        c2[k] = (float)second;
        c3[k] = (float)(-n->scale[at] * s / m - second * n->mean[at]);
    }
    const vec *a = c->out;
    for (int64_t p = (int64_t)blocks * c->pixels_out; p; p--)
        for (int k = 0; k < c->cout; k++, a += LV, d += LV, target += LV)
#pragma GCC unroll 4
            for (int v = 0; v < LV; v++) target[v] = c1[k] * d[v] + (c2[k] * a[v] + c3[k]);
}

/* ---- the network --------------------------------------------------------------------------------- */

static void clear(Net *n, int channels) {
    for (int i = 0; i < 3; i++) memset(n->sums + (int64_t)i * n->most, 0, channels * sizeof(vec));
}

static void conv_norm(Net *n, const Conv *c, const vec *x, const float *params, int blocks, float *batch) {
    Ending end = {.target = c->out, .sum = n->sums, .square = n->sums + n->most, .start = n->folded};
    clear(n, c->cout);
    pack(c, params + c->weight, n->packed, 0);
    guess(c, x, n->packed, end.start);
    forward_stats(c, x, n->packed, blocks, &end);
    norm_forward(n, c, params, end.start, blocks, batch);
}

/* Convolution and norm in one, with the running statistics; `other` is added before a ReLU. */
static void conv_folded(Net *n, const Conv *c, const vec *x, const float *params, const float *running, vec *target,
                        const vec *other, int relu) {
    int64_t row = (int64_t)(c->cin / c->groups) * c->taps;
    float *bias = n->scale; /* of no use in evaluation otherwise */
    for (int k = 0; k < c->cout; k++) {
        float scale = params[c->norm + k] / sqrtf(running[n->stats + c->stat + k] + n->eps);
        bias[k] = params[c->norm + c->cout + k] - running[c->stat + k] * scale;
        for (int64_t i = 0; i < row; i++) n->folded[k * row + i] = params[c->weight + k * row + i] * scale;
    }
    pack(c, n->folded, n->packed, 0);
    Ending end = {.target = target, .other = other, .start = bias};
    if (relu)
        forward_folded_relu(c, x, n->packed, 1, &end);
    else
        forward_folded(c, x, n->packed, 1, &end);
}

/* Mean over pixels, then the classifier; logits (images, classes) in the order of the lanes. */
static void head(Net *n, const vec *x, int pixels, const float *params, int blocks, float *logits) {
    for (int b = 0; b < blocks; b++) {
        vec *pool = n->pool + (int64_t)b * n->width * LV;
        memset(pool, 0, n->width * LANES * sizeof(float));
        for (int p = 0; p < pixels; p++)
            for (int k = 0; k < n->width * LV; k++) pool[k] += *x++;
        float share = 1.0f / pixels;
        for (int k = 0; k < n->width * LV; k++) pool[k] *= share;
        for (int k = 0; k < n->classes; k++) {
            vec sum[LV];
            for (int v = 0; v < LV; v++) sum[v] = (vec){0} + params[n->bias + k];
            for (int i = 0; i < n->width; i++)
                for (int v = 0; v < LV; v++) sum[v] += params[n->fc + (int64_t)k * n->width + i] * pool[i * LV + v];
            for (int i = 0; i < LANES; i++) logits[((int64_t)b * LANES + i) * n->classes + k] = sum[i / VECTOR][i % VECTOR];
        }
    }
}

/* Logits of `blocks` x LANES images in training mode; `batch` gets every norm's mean and variance. */
void net_forward(Net *n, const float *image, const float *params, int blocks, float *batch, float *logits) {
    const vec *x = (const vec *)image;
    memcpy(n->image, image, (size_t)blocks * n->stem.pixels_in * n->stem.cin * LANES * sizeof(float));
    conv_norm(n, &n->stem, n->image, params, blocks, batch);
    norm_relu(n, &n->stem, blocks);
    x = n->stem.on;
    int pixels = n->stem.pixels_out;
    for (int i = 0; i < n->n_blocks; i++) {
        Block *k = n->blocks + i;
        conv_norm(n, &k->conv1, x, params, blocks, batch);
        norm_relu(n, &k->conv1, blocks);
        conv_norm(n, &k->conv2, k->conv1.on, params, blocks, batch);
        norm_relu(n, &k->conv2, blocks);
        conv_norm(n, &k->conv3, k->conv2.on, params, blocks, batch);
        if (k->has_shortcut) conv_norm(n, &k->shortcut, x, params, blocks, batch);
        join(n, k, x, blocks);
        x = k->out;
        pixels = k->conv3.pixels_out;
    }
    head(n, x, pixels, params, blocks, logits);
}

/* Logits in evaluation mode, one block of lanes after another. */
void net_evaluate(Net *n, const float *image, const float *params, const float *running, int blocks, float *logits) {
    for (int b = 0; b < blocks; b++) {
        size_t size = (size_t)n->stem.pixels_in * n->stem.cin * LANES;
        memcpy(n->image, image + b * size, size * sizeof(float));
        conv_folded(n, &n->stem, n->image, params, running, n->stem.on, 0, 1);
        const vec *x = n->stem.on;
        int pixels = n->stem.pixels_out;
        for (int i = 0; i < n->n_blocks; i++) {
            Block *k = n->blocks + i;
            conv_folded(n, &k->conv1, x, params, running, k->conv1.on, 0, 1);
            conv_folded(n, &k->conv2, k->conv1.on, params, running, k->conv2.on, 0, 1);
            if (k->has_shortcut) conv_folded(n, &k->shortcut, x, params, running, k->shortcut.out, 0, 0);
            conv_folded(n, &k->conv3, k->conv2.on, params, running, k->out, k->has_shortcut ? k->shortcut.out : x, 1);
            x = k->out;
            pixels = k->conv3.pixels_out;
        }
        head(n, x, pixels, params, 1, logits + (int64_t)b * LANES * n->classes);
    }
}

static void conv_backward(Net *n, const Conv *c, const vec *grad, const vec *input, const float *params, float *grads,
                          int blocks) {
    weight_gradient(n, c, grad, input, blocks, grads + c->weight);
    pack(c, params + c->weight, n->packed, 1);
}

/* Gradients of all parameters from those of the logits of the last `net_forward`. */
void net_backward(Net *n, const float *logits, const float *params, float *grads, int blocks) {
    int last = n->n_blocks - 1;
    int pixels = n->blocks[last].conv3.pixels_out;
    vec *up = n->grad[0], *down = n->grad[1], *inside = n->grad[2], *beside = n->grad[3], *outer = n->grad[4];
    float share = 1.0f / pixels;

    memset(grads + n->bias, 0, n->classes * sizeof(float));
    memset(grads + n->fc, 0, (size_t)n->classes * n->width * sizeof(float));
    for (int b = 0; b < blocks; b++) {
        for (int k = 0; k < n->classes; k++)
            for (int i = 0; i < LANES; i++)
                n->logits[k * LV + i / VECTOR][i % VECTOR] = logits[((int64_t)b * LANES + i) * n->classes + k];
        const vec *pool = n->pool + (int64_t)b * n->width * LV;
        for (int k = 0; k < n->classes; k++) {
            vec sum = {0};
            for (int v = 0; v < LV; v++) sum += n->logits[k * LV + v];
            grads[n->bias + k] += total(sum);
            for (int i = 0; i < n->width; i++) {
                vec product = {0};
                for (int v = 0; v < LV; v++) product += n->logits[k * LV + v] * pool[i * LV + v];
                grads[n->fc + (int64_t)k * n->width + i] += total(product);
            }
        }
        for (int i = 0; i < n->width; i++)
            for (int v = 0; v < LV; v++) {
                vec d = {0};
                for (int k = 0; k < n->classes; k++)
                    d += params[n->fc + (int64_t)k * n->width + i] * n->logits[k * LV + v];
                d *= share;
                for (int p = 0; p < pixels; p++) up[(((int64_t)b * pixels + p) * n->width + i) * LV + v] = d;
            }
    }

    for (int i = last; i >= 0; i--) {
        Block *k = n->blocks + i;
        const vec *x = i ? n->blocks[i - 1].out : n->stem.on;
        vec *sum = n->sums, *product = sum + n->most, *product4 = product + n->most;
        clear(n, k->conv3.cout);
        split(n, k, up, blocks);
        norm_backward(n, &k->conv3, sum, product, params, grads, up, outer, blocks);
        if (k->has_shortcut) norm_backward(n, &k->shortcut, sum, product4, params, grads, up, beside, blocks);

        conv_backward(n, &k->conv3, outer, k->conv2.on, params, grads, blocks);
        Ending masked = {.target = inside, .sum = sum, .square = product, .other = k->conv2.out,
                         .scale = n->scale + k->conv2.stat, .shift = n->shift + k->conv2.stat};
        clear(n, k->conv2.cout);
        backward_mask(&k->conv3, outer, n->packed, blocks, &masked);
        norm_backward(n, &k->conv2, sum, product, params, grads, inside, inside, blocks);

        conv_backward(n, &k->conv2, inside, k->conv1.on, params, grads, blocks);
        masked.target = outer, masked.other = k->conv1.out;
        masked.scale = n->scale + k->conv1.stat, masked.shift = n->shift + k->conv1.stat;
        clear(n, k->conv1.cout);
        backward_mask(&k->conv2, inside, n->packed, blocks, &masked);
        norm_backward(n, &k->conv1, sum, product, params, grads, outer, outer, blocks);

        Ending plain = {.target = down, .other = k->has_shortcut ? 0 : up};
        if (k->has_shortcut) {
            conv_backward(n, &k->shortcut, beside, x, params, grads, blocks);
            backward_add(&k->shortcut, beside, n->packed, blocks, &plain);
            plain.other = down;
        }
        conv_backward(n, &k->conv1, outer, x, params, grads, blocks);
        backward_add(&k->conv1, outer, n->packed, blocks, &plain);
        vec *swap = up;
        up = down, down = swap;
    }

    vec *sum = n->sums, *product = sum + n->most;
    clear(n, n->stem.cout);
    const vec *a = n->stem.out, *y = n->stem.on;
    vec *d = up;
    for (int64_t p = (int64_t)blocks * n->stem.pixels_out; p; p--)
        for (int k = 0; k < n->stem.cout; k++, a += LV, y += LV, d += LV)
            for (int v = 0; v < LV; v++) {
                d[v] = rectified(d[v], y[v]);
                sum[k] += d[v];
                product[k] += d[v] * a[v];
            }
    norm_backward(n, &n->stem, sum, product, params, grads, up, up, blocks);
    weight_gradient(n, &n->stem, up, n->image, blocks, grads + n->stem.weight);
}

/* ---- making and freeing -------------------------------------------------------------------------- */

typedef struct {
    int64_t weight, norm, stat;
    int most_channels, most_values, most_weights; /* channels; channels x pixels of a tensor; weights */
    int64_t most_row;                             /* weights of an output channel */
} Places;

static int conv(Conv *c, Places *at, int h, int w, int cin, int cout, int groups, int kernel, int stride, int blocks) {
    c->cin = cin, c->cout = cout, c->groups = groups;
    c->weight = at->weight, c->norm = at->norm, c->stat = at->stat;
    int64_t weights = (int64_t)cout * (cin / groups) * kernel * kernel;
    at->weight += weights;
    at->norm += 2 * cout;
    at->stat += cout;
    if (!lists(c, h, w, kernel, stride)) return 0;
    c->out = tensor(blocks, c->pixels_out, cout);
    if (cout > at->most_channels) at->most_channels = cout;
    if (cin > at->most_channels) at->most_channels = cin;
    if (weights / cout > at->most_row) at->most_row = weights / cout;
    if (weights > at->most_weights) at->most_weights = (int)weights;
    if (cout * c->pixels_out > at->most_values) at->most_values = cout * c->pixels_out;
    if (cin * c->pixels_in > at->most_values) at->most_values = cin * c->pixels_in;
    return c->out != 0;
}

static void free_conv(Conv *c) {
    void *all[] = {c->first, c->source, c->tap, c->back_first, c->back_source, c->back_tap,
                   c->pair_first, c->pair_target, c->pair_source, c->out, c->on};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) free(all[i]);
}

void net_free(Net *n) {
    if (!n) return;
    free_conv(&n->stem);
    for (int i = 0; n->blocks && i < n->n_blocks; i++) {
        Block *k = n->blocks + i;
        free_conv(&k->conv1), free_conv(&k->conv2), free_conv(&k->conv3), free_conv(&k->shortcut);
        free(k->out);
    }
    for (int i = 0; i < 5; i++) free(n->grad[i]);
    free(n->blocks), free(n->image), free(n->pool), free(n->logits), free(n->packed), free(n->folded);
    free(n->sums), free(n->weight_sums), free(n->scale), free(n->shift), free(n->mean), free(n->invstd);
    free(n);
}

/* spec: channels, height, width, classes, stem width, stem stride, blocks of lanes, blocks, then for each block
 * of the network input width, inner width, width, group width, stride, shortcut (0 or 1). NULL: no memory. */
Net *net_new(const int *spec, int64_t weights, float eps) {
    Net *n = calloc(1, sizeof(Net));
    if (!n) return 0;
    int channels = spec[0], h = spec[1], w = spec[2], blocks = spec[6];
    n->classes = spec[3], n->n_blocks = spec[7], n->eps = eps;
    Places at = {.norm = weights};
    int fine = (n->blocks = calloc(n->n_blocks, sizeof(Block))) != 0;
    fine = fine && conv(&n->stem, &at, h, w, channels, spec[4], 1, 3, spec[5], blocks);
    fine = fine && (n->stem.on = tensor(blocks, n->stem.pixels_out, spec[4]));
    fine = fine && (n->image = tensor(blocks, h * w, channels));
    h = size_out(h, spec[5]), w = size_out(w, spec[5]);
    n->width = spec[4];
    for (int i = 0; fine && i < n->n_blocks; i++) {
        const int *s = spec + 8 + 6 * i;
        int w_in = s[0], inner = s[1], width = s[2], stride = s[4];
        Block *k = n->blocks + i;
        k->has_shortcut = s[5];
        fine = conv(&k->conv1, &at, h, w, w_in, inner, 1, 1, 1, blocks) &&
               conv(&k->conv2, &at, h, w, inner, inner, inner / s[3], 3, stride, blocks);
        int ho = size_out(h, stride), wo = size_out(w, stride);
        fine = fine && conv(&k->conv3, &at, ho, wo, inner, width, 1, 1, 1, blocks);
        fine = fine && (!s[5] || conv(&k->shortcut, &at, h, w, w_in, width, 1, 1, stride, blocks));
        fine = fine && (k->conv1.on = tensor(blocks, h * w, inner)) && (k->conv2.on = tensor(blocks, ho * wo, inner)) &&
               (k->out = tensor(blocks, ho * wo, width));
        h = ho, w = wo, n->width = width;
    }
    if (!fine) {
        net_free(n);
        return 0;
    }
    n->fc = at.weight, n->bias = at.norm;
    n->most = at.most_channels, n->stats = (int)at.stat;
    for (int i = 0; i < 5; i++) fine = fine && (n->grad[i] = tensor(blocks, 1, at.most_values));
    int folded = at.most_weights > 2 * n->most ? at.most_weights : 2 * n->most;
    fine = fine && (n->pool = tensor(blocks, 1, n->width)) && (n->logits = tensor(1, 1, n->classes));
    fine = fine && (n->packed = reserve(at.most_weights * sizeof(float))) && (n->folded = reserve(folded * sizeof(float)));
    fine = fine && (n->sums = reserve(3 * n->most * sizeof(vec)));
    int64_t weight_sums = at.most_row * TILE > SUMS ? at.most_row * TILE : SUMS;
    fine = fine && (n->weight_sums = reserve(weight_sums * sizeof(vec)));
    float **each[] = {&n->scale, &n->shift, &n->mean, &n->invstd};
    for (int i = 0; i < 4; i++) fine = fine && (*each[i] = reserve((n->stats + n->most) * sizeof(float)));
    if (!fine) {
        net_free(n);
        return 0;
    }
    return n;
}

int net_lanes(void) { return LANES; }
