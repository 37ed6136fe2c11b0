/* scan.h - private: loops. Two kinds of node are enough for derivatives of every order:
 *
 *   OP_SCAN       shared, carry, per_step            -> carry, collected                (f again and again)
 *   OP_SCAN_BACK  shared, carry, per_step, adjoints of carry and collected
 *                                                    -> adjoints of shared, carry, per_step
 *
 * With F the function f with tangents beside its values:
 *   tangent of scan[f]  = the tangents that scan[F] gives      pullback of scan[f] = back[f]
 *   tangent of back[f]  = back[F], adjoints in tangent place and their tangents in value place
 *   pullback of back[f] = back[F] with zero tangents of adjoints, and for these themselves the tangents of scan[F]
 *
 * SPDX-License-Identifier: MIT */
#ifndef AD_SCAN_H
#define AD_SCAN_H

#include "func.h"

typedef struct ad_loop {
    ad_object o;
    const ad_func *f; /* one reference */
    int64_t count, checkpoints;
    int nshared, ncarry, nstep, ncollect;
    /* Backward only; all derived from f and kept by it. */
    const ad_func *forward;    /* the carries of f alone */
    const ad_func *back;       /* shared, carry, step, adjoints, sums -> sums, adjoints of carry, of steps */
    int nsums, nseeds, nmoved; /* wanted shared values, seeded collected ones, wanted steps */
    int *sum, *seed, *moved;   /* which: in one block at sum */
} ad_loop;

extern HIDDEN const ad_class ad_scan_class, ad_back_class;
HIDDEN void ad_scan_pullback(const ad_object *o, ad_var node, const ad_var a[], const ad_var g[],
                             const bool want[], ad_var da[]);
HIDDEN void ad_scan_tangent(const ad_object *o, ad_var node, const ad_var a[], const ad_var ta[],
                            ad_var ty[]);
HIDDEN void ad_back_pullback(const ad_object *o, ad_var node, const ad_var a[], const ad_var g[],
                             const bool want[], ad_var da[]);
HIDDEN void ad_back_tangent(const ad_object *o, ad_var node, const ad_var a[], const ad_var ta[],
                            ad_var ty[]);
HIDDEN void ad_loop_destroy(ad_object *o);
HIDDEN int64_t ad_scan_slots(const ad_loop *l, size_t bytes); /* checkpoints, for carries of so many bytes */
/* scan_link.c, by instruction: of a loop forward, the loop backward that begins with the checkpoints it leaves; the other way
 * round; -1. */
HIDDEN void ad_scan_links(const struct ad_program *p, int32_t link[]);
/* Bodies, recorded once and kept by f. Masks have one byte for each value of that kind. */
HIDDEN const ad_func *ad_scan_carries(const ad_func *f, const ad_loop *l, ad_reason *why);
HIDDEN const ad_func *ad_scan_back_body(const ad_func *f, const ad_loop *l, bool masked, const bool shared[],
                                        const bool step[], const bool seeded[], ad_reason *why);
HIDDEN const ad_func *ad_scan_tangent_body(const ad_func *f, const ad_loop *l, const bool shared[],
                                           const bool step[], const bool value[], const bool tangent[],
                                           ad_reason *why);

#endif
