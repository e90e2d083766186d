/* Transforms of 2 to 13 complex numbers, eight at once (a lane each), for kernels/cpu*.c only. */
#ifndef NP_CPU_BUTTERFLY_H
#define NP_CPU_BUTTERFLY_H

#include "kernels/cpu_vector.h"

struct cvec {
    vec re, im;
};

INLINE struct cvec cvec_add(struct cvec a, struct cvec b)
{
    return (struct cvec){a.re + b.re, a.im + b.im};
}

INLINE struct cvec cvec_sub(struct cvec a, struct cvec b)
{
    return (struct cvec){a.re - b.re, a.im - b.im};
}

INLINE struct cvec cvec_mul(struct cvec a, vec re, vec im)
{
    return (struct cvec){a.re * re - a.im * im, a.re * im + a.im * re};
}

/* a times the conjugate of re + i im */
INLINE struct cvec cvec_mul_conj(struct cvec a, vec re, vec im)
{
    return (struct cvec){a.re * re + a.im * im, a.im * re - a.re * im};
}

INLINE void butterfly_2(struct cvec *x)
{
    struct cvec a = cvec_sub(x[0], x[1]);

    x[0] = cvec_add(x[0], x[1]);
    x[1] = a;
}

INLINE void butterfly_4(struct cvec *x)
{
    struct cvec a = cvec_add(x[0], x[2]), b = cvec_sub(x[0], x[2]);
    struct cvec c = cvec_add(x[1], x[3]), d = cvec_sub(x[1], x[3]);

    x[0] = cvec_add(a, c);
    x[2] = cvec_sub(a, c);
    x[1] = (struct cvec){b.re + d.im, b.im - d.re};
    x[3] = (struct cvec){b.re - d.im, b.im + d.re};
}

INLINE void butterfly_8(struct cvec *x)
{
    const float half = 0.70710678118654752440f;
    struct cvec even[4] = {x[0], x[2], x[4], x[6]}, odd[4] = {x[1], x[3], x[5], x[7]};
    struct cvec a, b;

    butterfly_4(even);
    butterfly_4(odd);
    a = (struct cvec){(odd[1].re + odd[1].im) * half, (odd[1].im - odd[1].re) * half};
    b = (struct cvec){(odd[3].im - odd[3].re) * half, (odd[3].re + odd[3].im) * half};
    x[0] = cvec_add(even[0], odd[0]);
    x[4] = cvec_sub(even[0], odd[0]);
    x[1] = cvec_add(even[1], a);
    x[5] = cvec_sub(even[1], a);
    x[2] = (struct cvec){even[2].re + odd[2].im, even[2].im - odd[2].re};
    x[6] = (struct cvec){even[2].re - odd[2].im, even[2].im + odd[2].re};
    x[3] = (struct cvec){even[3].re + b.re, even[3].im - b.im};
    x[7] = (struct cvec){even[3].re - b.re, even[3].im + b.im};
}

/* cos and sin of 2 pi j / n for j = 0 .. n / 2, n odd */
static const float odd_cos[14][7] = {
    [3] = {1.0f, -0.5f},
    [5] = {1.0f, 0.30901699437494742410f, -0.80901699437494742410f},
    [7] = {1.0f, 0.62348980185873353053f, -0.22252093395631440429f, -0.90096886790241912624f},
    [11] = {1.0f, 0.84125353283118116886f, 0.41541501300188642553f, -0.14231483827328514044f,
            -0.65486073394528506406f, -0.95949297361449738989f},
    [13] = {1.0f, 0.88545602565320989590f, 0.56806474673115580252f, 0.12053668025532305335f,
            -0.35460488704253562597f, -0.74851074817110109863f, -0.97094181742605202716f},
};
static const float odd_sin[14][7] = {
    [3] = {0.0f, 0.86602540378443864676f},
    [5] = {0.0f, 0.95105651629515357212f, 0.58778525229247312917f},
    [7] = {0.0f, 0.78183148246802980871f, 0.97492791218182360702f, 0.43388373911755812048f},
    [11] = {0.0f, 0.54064081745559758211f, 0.90963199535451837141f, 0.98982144188093273238f,
            0.75574957435425828377f, 0.28173255684142969772f},
    [13] = {0.0f, 0.46472317204376854566f, 0.82298386589365639458f, 0.99270887409805399280f,
            0.93501624268541482344f, 0.66312265824079520238f, 0.23931566428755776715f},
};

/* n odd: inputs j and n - j are summed first, since they share the cosine and, but for the sign, the sine */
INLINE void butterfly_odd(struct cvec *x, const int n)
{
    struct cvec sum[7], dif[7], first = x[0], total = x[0];
    const int half = n / 2;

#pragma GCC unroll 16
    for (int j = 1; j <= half; j++) {
        sum[j] = cvec_add(x[j], x[n - j]);
        dif[j] = cvec_sub(x[j], x[n - j]);
        total = cvec_add(total, sum[j]);
    }
    x[0] = total;
#pragma GCC unroll 16
    for (int k = 1; k <= half; k++) {
        struct cvec c = first, s = {vec_of(0.0f), vec_of(0.0f)};

#pragma GCC unroll 16
        for (int j = 1; j <= half; j++) {
            const int turn = j * k % n, fold = turn <= half ? turn : n - turn;
            const float re = odd_cos[n][fold], im = turn <= half ? odd_sin[n][fold] : -odd_sin[n][fold];

            c.re += sum[j].re * re;
            c.im += sum[j].im * re;
            if (j == 1) {
                s.re = dif[j].im * im;
                s.im = dif[j].re * im;
            } else {
                s.re += dif[j].im * im;
                s.im += dif[j].re * im;
            }
        }
        x[k] = (struct cvec){c.re + s.re, c.im - s.im};
        x[n - k] = (struct cvec){c.re - s.re, c.im + s.im};
    }
}

INLINE void butterfly(struct cvec *x, const int radix)
{
    if (radix == 2)
        butterfly_2(x);
    else if (radix == 4)
        butterfly_4(x);
    else if (radix == 8)
        butterfly_8(x);
    else
        butterfly_odd(x, radix);
}

#endif
