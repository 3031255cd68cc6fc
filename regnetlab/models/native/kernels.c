/* Training and evaluation of AnyNets on one CPU core.
 *
 * A tensor is [block][pixel][channel][lane]: LANES images lie side by side in the innermost place, so every
 * operation on every shape is a loop over full vectors. One convolution routine serves 1x1 and grouped 3x3,
 * forwards and backwards: each target pixel has a list of (source pixel, tap). Batch norm's sums are taken
 * while a convolution's results are still in registers. Norms, ReLUs and weight gradients take a panel of pixels
 * at a time, beside the convolution that has them in cache. Every sum has one order, whatever the vector width.
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
#ifdef __AVX512F__
#define VECTOR 16
#elif defined __AVX__
#define VECTOR 8
#else
#define VECTOR 4
#endif
#define LV (LANES / VECTOR)
#define PARTS (16 / VECTOR)
#ifdef __AVX512F__
#define TILE_V LV /* vectors of a lane row that a tile keeps in registers */
#define OUTS 6    /* weight gradients are summed in tiles of OUTS x INS channels */
#define INS 4
#else
#define TILE_V PARTS
#define OUTS 2
#define INS 2
#endif
#if defined __AVX512F__ && !defined __clang__
#define IN_REGISTER(x) __asm__("" : "+v"(x)) /* gcc would read it again for every product: a fifth slower */
#else
#define IN_REGISTER(x)
#endif
#define TILE 6 /* output channels of a tile */
#define PANEL (512 / LANES) /* pixels of which all weight gradients are summed before the next: they stay in cache */
#define SUMS 4096       /* weights summed at once, a vector each, so that these stay in the L2 cache, too */
#define INLINE static inline __attribute__((always_inline))
#ifdef __clang__ /* which unrolls them by itself, but with a pragma before it knows how long they are */
#define UNROLL
#else
#define UNROLL _Pragma("GCC unroll 16")
#endif

typedef float vec __attribute__((vector_size(4 * VECTOR), aligned(4 * VECTOR)));
typedef int32_t mask __attribute__((vector_size(4 * VECTOR), aligned(4 * VECTOR)));

/* x where `gate` is above 0, else 0. A gate that is no number lets x through: divergence must stay visible. */
INLINE vec rectified(vec x, vec gate) { return (vec)((mask)x & ~(gate <= 0)); }

/* Sixteen sums side by side on every machine: their order, and so every bit, does not depend on the vector width.
 * (gcc 12 makes of a vector wider than the machine's code that takes ten times as long.) */
typedef struct {
    vec part[PARTS];
} Sum;

INLINE float total(Sum s) {
    typedef float quarter __attribute__((vector_size(16), aligned(16), may_alias));
    const quarter *q = (const quarter *)&s;
    quarter four = (q[0] + q[2]) + (q[1] + q[3]);
    return (four[0] + four[2]) + (four[1] + four[3]);
}

typedef struct {
    int cin, cout, groups, taps, pixels_in, pixels_out, probe;
    int64_t weight, norm, stat; /* places in the parameters and in the statistics */
    int *first, *source, *tap;  /* of output pixel t: entries first[t] to first[t + 1] */
    int *needs;                 /* output pixels before t need input pixels before needs[t] */
    int *back_first, *back_source, *back_tap;
    int *pair_first, *pair_target, *pair_source; /* the same by tap: entries pair_first[k] to pair_first[k + 1] */
    vec *out; /* what it computes, less a guess of each channel's mean */
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
    vec *image, *first, *pool, *logits; /* first: the input of the first block */
    vec *on;                            /* scratch: a convolution's input, behind norm and ReLU */
    vec *grad[5];                       /* scratch: of the block's output and input, and inside a block */
    float *packed, *folded;
    Sum *sums;        /* three a channel of the widest tensor */
    double *totals;   /* the same, where sums go now and then */
    Sum *weight_sums; /* see SUMS */
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
    c->probe = (ho > 1) * wo + (wo > 1);
    int most = c->pixels_out * c->taps;
    c->first = reserve((c->pixels_out + 1) * sizeof(int));
    c->needs = reserve((c->pixels_out + 1) * sizeof(int));
    c->source = reserve(most * sizeof(int));
    c->tap = reserve(most * sizeof(int));
    c->back_first = reserve((c->pixels_in + 1) * sizeof(int));
    c->back_source = reserve(most * sizeof(int));
    c->back_tap = reserve(most * sizeof(int));
    c->pair_first = reserve((c->taps + 1) * sizeof(int));
    c->pair_target = reserve(most * sizeof(int));
    c->pair_source = reserve(most * sizeof(int));
    int *next = reserve((c->pixels_in + 1) * sizeof(int));
    if (!c->first || !c->needs || !c->source || !c->tap || !c->back_first || !c->back_source || !c->back_tap ||
        !c->pair_first || !c->pair_target || !c->pair_source || !next) {
        free(next);
        return 0;
    }
    c->needs[0] = 0;
    for (int y = 0; y < ho; y++)
        for (int x = 0; x < wo; x++) {
            int need = c->needs[y * wo + x];
            c->first[y * wo + x] = n;
            for (int k = 0; k < c->taps; k++) {
                int sy = y * stride + k / kernel - pad, sx = x * stride + k % kernel - pad;
                if (sy < 0 || sy >= h || sx < 0 || sx >= w) continue;
                c->source[n] = sy * w + sx;
                c->tap[n++] = k;
                if (sy * w + sx >= need) need = sy * w + sx + 1;
            }
            c->needs[y * wo + x + 1] = need;
        }
    c->needs[c->pixels_out] = c->pixels_in;
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

enum { GUESS, STATS, FOLDED, FOLDED_RELU, PLAIN, MASK, JOIN };

typedef struct {
    vec *target;
    Sum *sum, *product, *product4; /* STATS: of results and their squares; MASK, JOIN: of results and results * a, a4 */
    const vec *a, *a4;             /* outputs of the convolutions in front of the norms */
    const vec *other;              /* JOIN, FOLDED*: what is added, FOLDED*: if any */
    const vec *gate;               /* JOIN: what the ReLU gave */
    const float *scale, *shift;    /* MASK: the norm's in front of the ReLU */
    float *start;                  /* STATS, FOLDED*: what each channel's results start at; GUESS writes it */
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
    int64_t row = (int64_t)cin * c->taps, next_from = back ? row : c->taps, next_to = back ? c->taps : row;
    for (int g = 0, gt; g < c->groups; g += gt) {
        gt = groups_of(to, c->groups - g);
        for (int t0 = 0, ct; t0 < to; t0 += ct) {
            ct = tile_of(to, t0, TILE);
            for (int k = 0; k < c->taps; k++)
                for (int f = 0; f < from; f++)
                    for (int q = g; q < g + gt; q++) {
                        const float *w = weight + q * cout * row + f * next_from + t0 * next_to + k;
                        for (int j = 0; j < ct; j++) *packed++ = w[j * next_to];
                    }
        }
    }
}

#define FOLDS(ending) ((ending) == FOLDED || (ending) == FOLDED_RELU)
#define SUMMED(ending) ((ending) == STATS || (ending) == MASK || (ending) == JOIN)

/* Of `groups` groups, `each` output channels. */
INLINE void convolve_tile(const int groups, const int each, const int ending, const vec *source, const float *packed,
                          const int *from, const int *taps, int entries, int64_t stride, int cin, int64_t at,
                          int channel, const Ending *end) {
    const int ct = groups * each, width = ending == GUESS ? PARTS : TILE_V;
    if (groups > 1) cin = each;
    for (int v0 = 0; v0 < (ending == GUESS ? PARTS : LV); v0 += width) {
        vec acc[TILE][TILE_V];
        UNROLL
        for (int j = 0; j < ct; j++)
            UNROLL
            for (int v = 0; v < width; v++)
                acc[j][v] = (vec){0} + (ending == STATS || FOLDS(ending) ? end->start[channel + j] : 0);
        for (int e = 0; e < entries; e++) {
            const vec *s = source + from[e] * stride + v0;
            const float *w = packed + (int64_t)taps[e] * cin * ct;
            for (int i = 0; i < cin; i++, s += LV, w += ct)
                UNROLL
                for (int g = 0; g < groups; g++) {
                    vec x[TILE_V];
                    UNROLL
                    for (int v = 0; v < width; v++) {
                        x[v] = s[g * cin * LV + v];
                        IN_REGISTER(x[v]);
                    }
                    UNROLL
                    for (int j = g * each; j < g * each + each; j++)
                        UNROLL
                        for (int v = 0; v < width; v++) acc[j][v] += w[j] * x[v];
                }
        }
        UNROLL
        for (int j = 0; j < ct; j++) {
            if (ending == GUESS) {
                end->start[channel + j] = -total(*(Sum *)acc[j]) / 16;
                continue;
            }
            Sum sum, product, product4;
            if (SUMMED(ending)) sum = end->sum[channel + j], product = end->product[channel + j];
            if (ending == JOIN) product4 = end->product4[channel + j];
            UNROLL
            for (int v = 0; v < width; v++) {
                int64_t place = (at + j) * LV + v0 + v;
                vec value = acc[j][v];
                if (ending == JOIN || (FOLDS(ending) && end->other)) value += end->other[place];
                if (ending == FOLDED_RELU) value = rectified(value, value);
                if (ending == JOIN) value = rectified(value, end->gate[place]);
                if (ending == MASK)
                    value = rectified(value, end->a[place] * end->scale[channel + j] + end->shift[channel + j]);
                if (SUMMED(ending)) {
                    sum.part[v % PARTS] += value;
                    product.part[v % PARTS] += value * (ending == STATS ? value : end->a[place]);
                    if (ending == JOIN) product4.part[v % PARTS] += value * end->a4[place];
                }
                end->target[place] = value;
            }
            if (SUMMED(ending)) end->sum[channel + j] = sum, end->product[channel + j] = product;
            if (ending == JOIN) end->product4[channel + j] = product4;
        }
    }
}

INLINE void convolve_all(const int ending, const vec *source, const float *packed, int b, int t0, int t1, int targets,
                         int sources, const int *first, const int *from, const int *taps, int n_taps, int groups,
                         int cin, int cout, const Ending *end) {
    int64_t stride = (int64_t)groups * cin * LV;
    for (int t = t0; t < t1; t++) {
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

/* Results of the target pixels t0 to t1 of a block of lanes. */
#define FORWARD(NAME, ENDING)                                                                                        \
    static __attribute__((noinline)) void NAME(const Conv *c, const vec *source, const float *packed, int b, int t0, \
                                               int t1, const Ending *end) {                                          \
        convolve_all(ENDING, source, packed, b, t0, t1, c->pixels_out, c->pixels_in, c->first, c->source, c->tap,    \
                     c->taps, c->groups, c->cin / c->groups, c->cout / c->groups, end);                              \
    }
#define BACKWARD(NAME, ENDING)                                                                                       \
    static __attribute__((noinline)) void NAME(const Conv *c, const vec *source, const float *packed, int b, int t0, \
                                               int t1, const Ending *end) {                                          \
        convolve_all(ENDING, source, packed, b, t0, t1, c->pixels_in, c->pixels_out, c->back_first, c->back_source,  \
                     c->back_tap, c->taps, c->groups, c->cout / c->groups, c->cin / c->groups, end);                 \
    }
FORWARD(forward_guess, GUESS)
FORWARD(forward_stats, STATS)
FORWARD(forward_folded, FOLDED)
FORWARD(forward_folded_relu, FOLDED_RELU)
BACKWARD(backward_plain, PLAIN)
BACKWARD(backward_mask, MASK)
BACKWARD(backward_join, JOIN)
typedef void (*Backward)(const Conv *, const vec *, const float *, int, int, int, const Ending *);

/* ---- gradients of weights ------------------------------------------------------------------------ */

typedef struct {
    const vec *grad, *input;           /* of the tile's first channels */
    const int *target, *source;        /* the panel's pairs of pixels for one tap */
    int64_t grad_stride, input_stride; /* from pixel to pixel */
    int pairs, first, last;            /* first, last: panel of all */
} Panel;

/* Adds a panel to the sums of a tile; behind the last panel writes the gradients. */
INLINE void weight_tile(const int groups, const int outs, const int ins, const Panel *p, Sum *sums, float *gradient,
                        int64_t row, int taps) {
    vec acc[OUTS < 4 ? 4 : OUTS][INS][PARTS];
    UNROLL
    for (int i = 0; i < groups * outs; i++)
        UNROLL
        for (int j = 0; j < ins; j++)
            UNROLL
            for (int v = 0; v < PARTS; v++) acc[i][j][v] = p->first ? (vec){0} : sums[i * ins + j].part[v];
    for (int e = 0; e < p->pairs; e++) {
        const vec *d = p->grad + p->target[e] * p->grad_stride, *x = p->input + p->source[e] * p->input_stride;
        UNROLL
        for (int v = 0; v < LV; v++)
            UNROLL
            for (int i = 0; i < groups * outs; i++) {
                vec one = d[i * LV + v];
                IN_REGISTER(one);
                UNROLL
                for (int j = 0; j < ins; j++) acc[i][j][v % PARTS] += one * x[(i / outs * ins + j) * LV + v];
            }
    }
    UNROLL
    for (int i = 0; i < groups * outs; i++)
        UNROLL
        for (int j = 0; j < ins; j++) {
            Sum sum;
            UNROLL
            for (int v = 0; v < PARTS; v++) sum.part[v] = acc[i][j][v];
            if (p->last)
                gradient[i * row + j * taps] = total(sum);
            else
                sums[i * ins + j] = sum;
        }
}

static void weight_tiles(const Conv *c, int from, int to, const Panel *panels, Sum *sums, float *target) {
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

/* Adds target pixels t to t + PANEL of a block of lanes, for output channels `from` to `to`. `at`: where each tap's
 * pairs go on. */
static void weight_panel(const Net *n, const Conv *c, const vec *grad, const vec *input, int from, int to, int b, int t,
                         int blocks, int *at, float *target) {
    Panel panels[9];
    for (int k = 0; k < c->taps; k++) {
        if (!t) at[k] = c->pair_first[k];
        Panel p = {.grad = grad + (int64_t)b * c->pixels_out * c->cout * LV,
                   .input = input + (int64_t)b * c->pixels_in * c->cin * LV,
                   .target = c->pair_target + at[k], .source = c->pair_source + at[k],
                   .grad_stride = c->cout * LV, .input_stride = c->cin * LV,
                   .first = !b && !t, .last = b == blocks - 1 && t + PANEL >= c->pixels_out};
        while (at[k] < c->pair_first[k + 1] && c->pair_target[at[k]] < t + PANEL) at[k]++, p.pairs++;
        panels[k] = p;
    }
    weight_tiles(c, from, to, panels, n->weight_sums, target);
}

/* Where there are more weights than sums: for some output channels at a time. */
static void weight_gradient(const Net *n, const Conv *c, const vec *grad, const vec *input, int blocks, float *target) {
    int cout = c->cout / c->groups, at[9];
    int64_t row = (int64_t)(c->cin / c->groups) * c->taps;
    for (int from = 0, to; from < c->cout; from = to) {
        for (to = from; to < c->cout && (to == from || (to - from + TILE) * row <= SUMS);)
            to += groups_of(cout, c->groups - to / cout) * tile_of(cout, to % cout, OUTS);
        for (int b = 0; b < blocks; b++)
            for (int t = 0; t < c->pixels_out; t += PANEL)
                weight_panel(n, c, grad, input, from, to, b, t, blocks, at, target);
    }
}

/* ---- batch norm and ReLU ------------------------------------------------------------------------- */

static void clear(Net *n, int channels) {
    for (int i = 0; i < 3; i++) {
        memset(n->sums + (int64_t)i * n->most, 0, channels * sizeof(Sum));
        memset(n->totals + (int64_t)i * n->most, 0, channels * sizeof(double));
    }
}

/* Sums of a few panels go to the totals: long sums of float32 lose digits. */
static void flush(Net *n, int channels) {
    for (int i = 0; i < 3; i++)
        for (int k = 0; k < channels; k++) {
            Sum *sum = n->sums + (int64_t)i * n->most + k;
            n->totals[(int64_t)i * n->most + k] += total(*sum);
            *sum = (Sum){0};
        }
}

/* Sums behind the convolution become scale and shift; `batch` gets mean and unbiased variance. */
static void norm_forward(Net *n, const Conv *c, const float *params, const float *start, int blocks, float *batch) {
    double m = (double)blocks * c->pixels_out * LANES;
    for (int k = 0; k < c->cout; k++) {
        double mean = n->totals[k] / m, variance = n->totals[n->most + k] / m - mean * mean;
        if (variance < 0) variance = 0;
        int64_t s = c->stat + k;
        n->mean[s] = (float)mean; /* like the results, less the guess */
        n->invstd[s] = (float)(1 / sqrt(variance + n->eps));
        n->scale[s] = params[c->norm + k] * n->invstd[s];
        n->shift[s] = params[c->norm + c->cout + k] - n->mean[s] * n->scale[s];
        batch[s] = (float)(mean - start[k]);
        batch[n->stats + s] = (float)(variance * m / (m > 1 ? m - 1 : 1));
    }
}

/* How pixels of a convolution's input come about: `conv` behind norm and ReLU, or a block's output, or as they are. */
typedef struct {
    const Conv *conv;
    const Block *block;
    const vec *x; /* the block's input */
    vec *pixels;
} Input;

static void norm_relu(const Net *n, const Input *in, int64_t from, int64_t to) {
    const Conv *c = in->conv;
    const float *scale = n->scale + c->stat, *shift = n->shift + c->stat;
    const vec *a = c->out + from * c->cout * LV;
    vec *y = in->pixels + from * c->cout * LV;
    for (int64_t p = from; p < to; p++)
        for (int k = 0; k < c->cout; k++, a += LV, y += LV)
            UNROLL
            for (int v = 0; v < LV; v++) {
                vec value = a[v] * scale[k] + shift[k];
                y[v] = rectified(value, value);
            }
}

/* relu(norm3(a) + x), where x is the input or norm4 of the shortcut's convolution. */
static void join(const Net *n, const Input *in, int64_t from, int64_t to) {
    const Block *block = in->block;
    const Conv *c = &block->conv3;
    const float *scale = n->scale + c->stat, *shift = n->shift + c->stat;
    const float *scale4 = n->scale + block->shortcut.stat, *shift4 = n->shift + block->shortcut.stat;
    int64_t start = from * c->cout * LV;
    const vec *a = c->out + start, *other = (block->has_shortcut ? block->shortcut.out : in->x) + start;
    vec *y = in->pixels + start;
    for (int64_t p = from; p < to; p++)
        for (int k = 0; k < c->cout; k++, a += LV, other += LV, y += LV)
            UNROLL
            for (int v = 0; v < LV; v++) {
                vec value = a[v] * scale[k] + shift[k];
                value += block->has_shortcut ? other[v] * scale4[k] + shift4[k] : other[v];
                y[v] = rectified(value, value);
            }
}

/* Pixels of all blocks of lanes from `ready`, of which those before `need` are to be ready; returns what is. */
static int64_t prepare(const Net *n, const Input *in, int64_t ready, int64_t need) {
    if (need <= ready) return ready;
    if (in->block)
        join(n, in, ready, need);
    else if (in->conv)
        norm_relu(n, in, ready, need);
    return need;
}

/* The gradient of the last ReLU, in place, and what the norms in front of it need. */
static void split(Net *n, const Block *block, vec *grad, int blocks) {
    const Conv *c = &block->conv3;
    const vec *y = block->out, *a = c->out, *other = block->has_shortcut ? block->shortcut.out : a;
    Sum *sum = n->sums, *product = sum + n->most, *product4 = product + n->most;
    for (int64_t p = (int64_t)blocks * c->pixels_out; p; p--)
        for (int k = 0; k < c->cout; k++, a += LV, other += LV, y += LV, grad += LV)
            UNROLL
            for (int v = 0; v < LV; v++) {
                vec d = grad[v] = rectified(grad[v], y[v]);
                sum[k].part[v % PARTS] += d;
                product[k].part[v % PARTS] += d * a[v];
                product4[k].part[v % PARTS] += d * other[v];
            }
    flush(n, c->cout);
}

/* Gradients of scale and offset from the totals, and the gradient through the norm as c1 d + c2 a + c3. */
static void norm_gradients(Net *n, const Conv *c, const double *products, float *grads, int blocks) {
    double m = (double)blocks * c->pixels_out * LANES;
    float *c2 = n->folded, *c3 = c2 + c->cout;
    for (int k = 0; k < c->cout; k++) {
        int64_t at = c->stat + k;
        double sum = n->totals[k], gamma = (products[k] - n->mean[at] * sum) * n->invstd[at];
        grads[c->norm + k] = (float)gamma;
        grads[c->norm + c->cout + k] = (float)sum;
        double second = -n->scale[at] * (double)n->invstd[at] * gamma / m;
        c2[k] = (float)second;
        c3[k] = (float)(-n->scale[at] * sum / m - second * n->mean[at]);
    }
}

static void norm_backward(const Net *n, const Conv *c, const vec *d, vec *target, int64_t from, int64_t to) {
    const float *c1 = n->scale + c->stat, *c2 = n->folded, *c3 = c2 + c->cout;
    int64_t start = from * c->cout * LV;
    const vec *a = c->out + start;
    d += start, target += start;
    for (int64_t p = from; p < to; p++)
        for (int k = 0; k < c->cout; k++, a += LV, d += LV, target += LV)
            UNROLL
            for (int v = 0; v < LV; v++) target[v] = c1[k] * d[v] + (c2[k] * a[v] + c3[k]);
}

/* ---- the network --------------------------------------------------------------------------------- */

/* A convolution and its norm's statistics. Panel by panel, so that its input is in cache when it is read.
 * Results start at minus a guess of each channel's mean: that of 16 images at a pixel with all taps. */
static void conv_norm(Net *n, const Conv *c, const Input *in, const float *params, int blocks, float *batch) {
    Ending end = {.target = c->out, .sum = n->sums, .product = n->sums + n->most, .start = n->folded};
    clear(n, c->cout);
    pack(c, params + c->weight, n->packed, 0);
    int64_t ready = prepare(n, in, 0, c->needs[c->probe + 1]);
    forward_guess(c, in->pixels, n->packed, 0, c->probe, c->probe + 1, &end);
    for (int b = 0; b < blocks; b++)
        for (int t = 0, to; t < c->pixels_out; t = to) {
            to = t + PANEL < c->pixels_out ? t + PANEL : c->pixels_out;
            ready = prepare(n, in, ready, (int64_t)b * c->pixels_in + c->needs[to]);
            forward_stats(c, in->pixels, n->packed, b, t, to, &end);
            if (to == c->pixels_out || to % (8 * PANEL) == 0) flush(n, c->cout);
        }
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
        forward_folded_relu(c, x, n->packed, 0, 0, c->pixels_out, &end);
    else
        forward_folded(c, x, n->packed, 0, 0, c->pixels_out, &end);
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
    memcpy(n->image, image, (size_t)blocks * n->stem.pixels_in * n->stem.cin * LANES * sizeof(float));
    conv_norm(n, &n->stem, &(Input){.pixels = n->image}, params, blocks, batch);
    Input x = {.conv = &n->stem, .pixels = n->first};
    int pixels = n->stem.pixels_out;
    for (int i = 0; i < n->n_blocks; i++) {
        Block *k = n->blocks + i;
        conv_norm(n, &k->conv1, &x, params, blocks, batch);
        conv_norm(n, &k->conv2, &(Input){.conv = &k->conv1, .pixels = n->on}, params, blocks, batch);
        conv_norm(n, &k->conv3, &(Input){.conv = &k->conv2, .pixels = n->on}, params, blocks, batch);
        if (k->has_shortcut) conv_norm(n, &k->shortcut, &(Input){.pixels = x.pixels}, params, blocks, batch);
        x = (Input){.block = k, .x = x.pixels, .pixels = k->out};
        pixels = k->conv3.pixels_out;
    }
    prepare(n, &x, 0, (int64_t)blocks * pixels);
    head(n, x.pixels, pixels, params, blocks, logits);
}

/* Logits in evaluation mode, one block of lanes after another. */
void net_evaluate(Net *n, const float *image, const float *params, const float *running, int blocks, float *logits) {
    for (int b = 0; b < blocks; b++) {
        size_t size = (size_t)n->stem.pixels_in * n->stem.cin * LANES;
        memcpy(n->image, image + b * size, size * sizeof(float));
        conv_folded(n, &n->stem, n->image, params, running, n->first, 0, 1);
        const vec *x = n->first;
        int pixels = n->stem.pixels_out;
        for (int i = 0; i < n->n_blocks; i++) {
            Block *k = n->blocks + i;
            conv_folded(n, &k->conv1, x, params, running, k->conv1.out, 0, 1);
            conv_folded(n, &k->conv2, k->conv1.out, params, running, k->conv2.out, 0, 1);
            if (k->has_shortcut) conv_folded(n, &k->shortcut, x, params, running, k->shortcut.out, 0, 0);
            conv_folded(n, &k->conv3, k->conv2.out, params, running, k->out, k->has_shortcut ? k->shortcut.out : x, 1);
            x = k->out;
            pixels = k->conv3.pixels_out;
        }
        head(n, x, pixels, params, 1, logits + (int64_t)b * LANES * n->classes);
    }
}

/* Backwards through a norm and its convolution: `d` is the gradient behind the norm, `grad` gets that in front of it.
 * Panel by panel, too; with more weights than there are sums, these wait until the panels are through. */
static void conv_backward(Net *n, const Conv *c, const double *products, const vec *d, vec *grad, const Input *in,
                          const float *params, float *grads, int blocks, Backward backward, const Ending *end) {
    int few = (int64_t)c->cout * (c->cin / c->groups) * c->taps <= SUMS, at[9];
    float *weights = grads + c->weight;
    norm_gradients(n, c, products, grads, blocks);
    if (end && end->sum) clear(n, c->cin);
    if (backward) pack(c, params + c->weight, n->packed, 1);
    int64_t ready = 0;
    for (int b = 0; b < blocks; b++) {
        int64_t pixel = (int64_t)b * c->pixels_out;
        for (int t = 0, to, s = 0, from; t < c->pixels_out; t = to) {
            to = t + PANEL < c->pixels_out ? t + PANEL : c->pixels_out;
            norm_backward(n, c, d, grad, pixel + t, pixel + to);
            ready = prepare(n, in, ready, (int64_t)b * c->pixels_in + c->needs[to]);
            if (few) weight_panel(n, c, grad, in->pixels, 0, c->cout, b, t, blocks, at, weights);
            if (!backward) continue;
            from = s;
            for (; s < c->pixels_in; s++) { /* the input's pixels whose gradients have no part in later panels */
                int last = c->back_first[s + 1];
                if (last > c->back_first[s] && c->back_source[last - 1] >= to) break;
            }
            backward(c, grad, n->packed, b, from, s, end);
            if (end->sum && (to == c->pixels_out || to % (8 * PANEL) == 0)) flush(n, c->cin);
        }
    }
    if (!few) weight_gradient(n, c, grad, in->pixels, blocks, weights);
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
            Sum sum = {0};
            for (int v = 0; v < LV; v++) sum.part[v % PARTS] += n->logits[k * LV + v];
            grads[n->bias + k] += total(sum);
            for (int i = 0; i < n->width; i++) {
                Sum product = {0};
                for (int v = 0; v < LV; v++) product.part[v % PARTS] += n->logits[k * LV + v] * pool[i * LV + v];
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

    Sum *sum = n->sums, *product = sum + n->most, *product4 = product + n->most;
    const double *products = n->totals + n->most, *products4 = products + n->most;
    clear(n, n->width);
    split(n, n->blocks + last, up, blocks);
    for (int i = last; i >= 0; i--) {
        Block *k = n->blocks + i, *before = i ? k - 1 : 0;
        Input x = {.pixels = before ? before->out : n->first};
        Ending plain = {.target = down};
        if (k->has_shortcut)
            conv_backward(n, &k->shortcut, products4, up, beside, &x, params, grads, blocks, backward_plain, &plain);

        Input on = {.conv = &k->conv2, .pixels = n->on};
        Ending mask = {.target = inside, .sum = sum, .product = product, .a = k->conv2.out,
                       .scale = n->scale + k->conv2.stat, .shift = n->shift + k->conv2.stat};
        conv_backward(n, &k->conv3, products, up, outer, &on, params, grads, blocks, backward_mask, &mask);

        on.conv = &k->conv1;
        mask.target = outer, mask.a = k->conv1.out;
        mask.scale = n->scale + k->conv1.stat, mask.shift = n->shift + k->conv1.stat;
        conv_backward(n, &k->conv2, products, inside, inside, &on, params, grads, blocks, backward_mask, &mask);

        Ending join = {.target = down, .sum = sum, .product = product, .product4 = product4,
                       .other = k->has_shortcut ? down : up, .gate = x.pixels,
                       .a = before ? before->conv3.out : n->stem.out};
        join.a4 = before && before->has_shortcut ? before->shortcut.out : join.a;
        conv_backward(n, &k->conv1, products, outer, outer, &x, params, grads, blocks, backward_join, &join);
        vec *swap = up;
        up = down, down = swap;
    }
    conv_backward(n, &n->stem, products, up, up, &(Input){.pixels = n->image}, params, grads, blocks, 0, 0);
}

/* Mean cross-entropy of the logits (n, classes), its gradient, and how many labels are not the largest logit's. In
 * torch the same takes 8% of a training step: its code comes from memory each time, since tensors fill the caches. */
void cross_entropy(const float *logits, const int64_t *labels, int n, int classes, float smoothing, float *grad,
                   float *loss, int64_t *wrong) {
    double sum = 0, even = (double)smoothing / classes;
    *wrong = 0;
    for (int i = 0; i < n; i++, logits += classes, grad += classes) {
        int best = 0;
        double exps = 0;
        for (int k = 1; k < classes; k++)
            if (logits[k] > logits[best]) best = k;
        for (int k = 0; k < classes; k++) exps += grad[k] = expf(logits[k] - logits[best]);
        double level = logits[best] + log(exps);
        for (int k = 0; k < classes; k++) {
            double target = even + (k == labels[i]) * (1.0 - smoothing);
            sum += target * (level - logits[k]);
            grad[k] = (float)((grad[k] / exps - target) / n);
        }
        *wrong += best != labels[i];
    }
    *loss = (float)(sum / n);
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
    void *all[] = {c->first, c->needs, c->source, c->tap, c->back_first, c->back_source, c->back_tap,
                   c->pair_first, c->pair_target, c->pair_source, c->out};
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
    free(n->first), free(n->on), free(n->totals);
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
    fine = fine && (n->first = tensor(blocks, n->stem.pixels_out, spec[4]));
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
        fine = fine && (k->out = tensor(blocks, ho * wo, width));
        h = ho, w = wo, n->width = width;
    }
    if (!fine) {
        net_free(n);
        return 0;
    }
    n->fc = at.weight, n->bias = at.norm;
    n->most = at.most_channels, n->stats = (int)at.stat;
    for (int i = 0; i < 5; i++) fine = fine && (n->grad[i] = tensor(blocks, 1, at.most_values));
    fine = fine && (n->on = tensor(blocks, 1, at.most_values)) && (n->totals = reserve(3 * n->most * sizeof(double)));
    int folded = at.most_weights > 2 * n->most ? at.most_weights : 2 * n->most;
    fine = fine && (n->pool = tensor(blocks, 1, n->width)) && (n->logits = tensor(1, 1, n->classes));
    fine = fine && (n->packed = reserve(at.most_weights * sizeof(float))) && (n->folded = reserve(folded * sizeof(float)));
    fine = fine && (n->sums = reserve(3 * n->most * sizeof(Sum)));
    int64_t weight_sums = at.most_row * TILE > SUMS ? at.most_row * TILE : SUMS;
    fine = fine && (n->weight_sums = reserve(weight_sums * sizeof(Sum)));
    float **each[] = {&n->scale, &n->shift, &n->mean, &n->invstd};
    for (int i = 0; i < 4; i++) fine = fine && (*each[i] = reserve((n->stats + n->most) * sizeof(float)));
    if (!fine) {
        net_free(n);
        return 0;
    }
    return n;
}

int net_lanes(void) { return LANES; }
