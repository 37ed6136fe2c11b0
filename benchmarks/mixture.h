/* mixture.h - where the parameters of a Gaussian mixture stand: MIX_K components in MIX_D dimensions, which who includes this has
 * defined, with MIX_N samples. See hand_mixture.h.
 *
 * SPDX-License-Identifier: MIT */
#ifndef MIXTURE_H
#define MIXTURE_H

enum { MIX_TRI = MIX_D * (MIX_D - 1) / 2, MIX_Q = MIX_D + MIX_TRI };
enum { MIX_MU = MIX_K, MIX_ICF = MIX_K + MIX_K * MIX_D, MIX_P = MIX_ICF + MIX_K * MIX_Q };

#endif
