/* compiled.c - steps of a recorded field as one program (compiled_program.c), repeated by replay or as emitted C: when, and how its values
 * go in and come out. An implicit row makes as many sweeps as its equations need at this step, measured on the first steps; the
 * program says where the last one would still change something, and there the steps are made again in the ordinary way.
 * Invariant: a step of an explicit row has the bits of the ordinary one, so a run may change from one to the other wherever it
 * pays; n steps are the same map however they are cut into programs. */
/* SPDX-License-Identifier: MIT */
#include <math.h>
#include <string.h>
#include <time.h>

#include "compiled.h"

/* By itself: from how many steps of a run on those of an implicit row are programs, which have not the bits of ordinary steps; after how
 * many ordinary steps of an explicit row its programs are made; after how many milliseconds of replay they are emitted as C,
 * when at the speed so far at least so many are left. A compiler takes about 100. */
enum { LONG = 1000, WARM = 500, REPLAYED = 100, LEFT = 300 };
/* Parameters may have got another number of rows since the programs were made. */
static int same_rows(const struct ode_compiled *c, const ode_recorded *r)
{
    int same = 1;
    for (int i = 0; i < r->params; i++)
        same &= c->rows[i] == r->rows[i];
    return same;
}
/* Are the programs of the last run those of this one? Sweeps are measured anew: nothing of a result may depend on earlier runs. */
static int same_programs(const struct ode_compiled *c, const ode_recorded *r, int plain)
{
    return c && c->program[0] && c->plain == plain && !c->kept.implicit && same_rows(c, r);
}
int ode_compiled_begin(ode_solver *s, int how, int64_t n)
{
    ode_kept kept;
    char text[200];
    const char *why = how < 0 ? "" : ode_compiled_unfit(s, &kept, text);
    s->programs = why || (!how && kept.implicit && n < LONG) ? ODE_STEPS_ORDINARY
                  : how                                      ? ODE_STEPS_TOLD
                                                             : ODE_STEPS_MAY;
    if (why)
        return how > 0 ? ode_fail(s, ODE_EINPUT, "compiled steps: %s", why) : ODE_OK;
    int same = same_programs(s->compiled, s->field.user, !s->space.compensate);
    if (same)
        s->compiled->stretch = STRETCH; /* a row of an earlier run may have failed */
    if (how)
        return same && s->compiled->native == (how > 1) ? ODE_OK : ode_compiled_make(s, &kept, how > 1);
    if (!same)
        ode_compiled_free(s->compiled), s->compiled = NULL;
    return ODE_OK;
}
static double milliseconds(void)
{
    struct timespec t;
    return clock_gettime(CLOCK_MONOTONIC, &t) ? 0 : (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}
/* Programs that nobody asked for: without them steps are ordinary ones, and nothing is an error. */
static int try_programs(ode_solver *s, int native)
{
    ode_kept kept;
    char text[200];
    ode_recorded *r = s->field.user;
    int sweeps = s->compiled ? s->compiled->sweeps : 0;
    if (!ode_compiled_unfit(s, &kept, text) && !ode_compiled_make(s, &kept, native)) {
        if (sweeps <= 0)
            return 1;
        s->compiled->sweeps = sweeps;
        if (!ode_compiled_programs(s))
            return 1;
    }
    ode_compiled_free(s->compiled);
    s->compiled = NULL, s->programs = ODE_STEPS_ORDINARY;
    s->status = r->status = 0, s->message[0] = r->message[0] = 0;
    return 0;
}
/* Is it time for programs, or for emitted ones? `left`: steps of this run. */
static int by_itself(ode_solver *s, int64_t left)
{
    struct ode_compiled *c = s->compiled;
    if (!c) {
        ode_kept kept = {0};
        s->method->driver->keeps(s->plan, &kept);
        if (!kept.implicit && (s->ordinary < WARM || left < 2))
            return s->ordinary++, 0;
        return try_programs(s, 0);
    }
    if (c->native || c->made < c->look)
        return 1;
    double now = milliseconds();
    if (!c->look)
        c->since = now;
    else if (now - c->since > REPLAYED && (now - c->since) * (double)left > LEFT * (double)c->made)
        return try_programs(s, 1);
    c->look = 2 * c->made + STRETCH;
    return 1;
}

static int all_finite(const double *y, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += y[i] * 0.0;
    return sum == 0;
}
/* What the driver has kept: into what is fed, or back, with the sign it has there. */
static void move_kept(ode_solver *s, int back)
{
    struct ode_compiled *c = s->compiled;
    const ode_real *r = &s->space;
    int m = r->base.half, parts = m && c->kept.part == ODE_ALL ? 2 : 1, n = 1 + !c->plain;
    for (int i = 0; i < c->kept.count; i++)
        for (int k = 0; k < parts; k++, n++)
            for (int b = 0; b < r->rows; b++) {
                int width = m ? m : r->base.size, p = m && (k || c->kept.part == ODE_P);
                double *x = ode_row(r, c->kept.slot[i], b) + (p ? m : 0), *f = c->fed[0][n] + b * width,
                       sign = p && c->minus ? -1 : 1;
                for (int j = 0; j < width; j++)
                    *(back ? x + j : f + j) = sign * (back ? f[j] : x[j]);
            }
}

/* Up to n steps; how many were made. 0: the next one has to be made in the ordinary way: a row fails in it, an equation is not
 * solved, the program needs what such a step keeps, or it does not pay yet. left: steps to the end of the run. */
int64_t ode_compiled_steps(ode_solver *s, int64_t n, int64_t left, double h)
{
    ode_real *r = &s->space;
    ode_recorded *f = s->field.user;
    size_t size = (size_t)s->field.size * (size_t)r->rows;
    if (s->programs == ODE_STEPS_ORDINARY || h == 0) /* a step 0 is an error, which ode_step tells */
        return 0;
    for (int b = 0; b < r->rows; b++)
        if (r->fault[b].status)
            return 0;
    if (s->programs == ODE_STEPS_MAY && !by_itself(s, left))
        return 0;
    struct ode_compiled *c = s->compiled;
    ode_kept kept = c->kept;
    char text[200];
    if (!same_rows(c, f) && (ode_compiled_unfit(s, &kept, text) || ode_compiled_make(s, &kept, c->native)))
        return s->programs = ODE_STEPS_ORDINARY, 0;
    c = s->compiled;
    ode_changed(s);
    if ((c->kept.count && (r->base.fresh || r->h != h)) || c->sweeps < 0)
        return 0;
    if (c->kept.implicit && !c->sweeps) {
        c->sweeps = ode_compiled_measure(s, h);
        if (!c->sweeps || ode_compiled_programs(s))
            return c->sweeps = -1, 0;
    }
    int k = c->program[1] && n >= MANY && c->stretch >= MANY, steps = k ? MANY : 1, fed = c->out_count,
        worst = fed - 1, at = worst - c->kept.implicit;
    int64_t count = (n < c->stretch ? n : c->stretch) / steps;
    const ode_clock *clock = ode_real_clock(r, h);
    memcpy(c->fed[0][0], r->x, size * sizeof(double));
    if (!c->plain)
        memcpy(c->fed[0][1], r->carry, size * sizeof(double));
    move_kept(s, 0);
    if (c->timed)
        c->fed[0][at][0] = (double)clock->k;
    for (int b = 0; c->kept.implicit && b < r->rows; b++)
        c->fed[0][worst][b] = 0;
    for (int i = 0; i < fed; i++)
        c->in[i] = c->fed[0][i];
    c->h = h;
    c->in[fed] = &clock->base, c->in[fed + 1] = &clock->base_carry, c->in[fed + 2] = &c->h;
    for (int i = 0; i < f->params; i++)
        c->in[fed + FIXED + i] = f->value[i];
    if (ad_repeat(c->work[k], r->rows, count, NULL, NULL, c->in, (void **)c->fed[1]) ||
        !all_finite(c->fed[1][0], size)) {
        c->stretch = count * steps > 1 ? count * steps / 2 : 1; /* the steps before it are wanted soon */
        return 0;
    }
    for (int b = 0; c->kept.implicit && b < r->rows; b++)
        if (!(c->fed[1][worst][b] <= 0)) { /* it needs one more, or the ordinary way to the end */
            c->sweeps = c->sweeps < SWEEPS ? c->sweeps + 1 : -1;
            if (c->sweeps < 0 || ode_compiled_programs(s))
                c->sweeps = -1;
            return 0;
        }
    for (int i = 0; i < fed; i++) {
        double *v = c->fed[0][i];
        c->fed[0][i] = c->fed[1][i], c->fed[1][i] = v;
    }
    int64_t made = steps * count;
    memcpy(r->x, c->fed[0][0], size * sizeof(double));
    if (!c->plain)
        memcpy(r->carry, c->fed[0][1], size * sizeof(double));
    move_kept(s, 1);
    ode_real_tick(r, h, made);
    r->base.fresh = 0;
    r->h = h;
    s->dense_ready = 0;
    c->made += made;
    r->counts.steps += made * (int64_t)r->rows;
    r->counts.fields += made * (int64_t)r->rows * c->fields;
    r->counts.iterations += made * (int64_t)r->rows * c->iterations;
    return made;
}
