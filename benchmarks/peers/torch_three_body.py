#!/usr/bin/env python3
"""The three-body protocol of Greydanus, Dzamba, Yosinski (2019) in PyTorch and SciPy: a second implementation of
`noether compare --protocol greydanus-three-body`, with nothing in common but the text of the protocol.

Each seed draws its own 5000 trajectories (the first 20 % of the samples are set apart), weights and batches, and has two sets of 15
starts: "fresh" ones of its own, and "notebook", those of the original evaluation: the same for every seed, drawn by NumPy's
legacy generator with the seeds 0 to 14. A line of JSON for each seed: the energy MSE of every start, with the true H, over
500 points, as there, and over 61, as here (infinite where the integration failed), and the smallest distance of two bodies along
the reference and along the learned orbit.

    OMP_NUM_THREADS=1 python3 torch_three_body.py --model mlp --seeds 10      Debian's python3-torch, python3-scipy; a minute a seed
    OMP_NUM_THREADS=1 python3 torch_three_body.py --steps 50 --trajectories 50 --seeds 1       a few seconds: does it run?
SPDX-License-Identifier: MIT
"""
import argparse
import json
import time

import numpy as np
import torch
from scipy.integrate import solve_ivp

torch.set_num_threads(1)
PAIRS = np.array([[0, 1], [0, 2], [1, 2]])
TURN = np.array([[-0.5, -np.sqrt(0.75)], [np.sqrt(0.75), -0.5]])  # by 120 degrees


def start(u):
    """A state (q of the bodies, then p; unit masses) from nine uniform numbers, in the order in which the protocol draws them."""
    direction, radius = 2 * u[:2] - 1, 0.9 + 0.3 * u[2]
    q = [radius * direction / np.hypot(*direction)]
    p = [np.array([-q[0][1], q[0][0]]) / radius * np.sqrt(1 / (np.sqrt(3) * radius))]  # uniform rotation
    for _ in range(2):
        q.append(TURN @ q[-1])
        p.append(TURN @ p[-1])
    factor = 1 + 0.2 * (2 * u[3:].reshape(3, 2) - 1)
    return np.concatenate([np.ravel(q), np.ravel(np.array(p) * factor)])


def distances(z):
    q = z[..., :6].reshape(*z.shape[:-1], 3, 2)
    d = q[..., PAIRS[:, 0], :] - q[..., PAIRS[:, 1], :]
    return d, np.sqrt((d * d).sum(-1))


def energy(z):
    return (z[..., 6:] ** 2).sum(-1) / 2 - (1 / distances(z)[1]).sum(-1)


def field(t, z):
    """Newton's equations; any leading axes."""
    d, r = distances(z)
    pull = d / r[..., None] ** 3
    f = np.stack([-pull[..., 0, :] - pull[..., 1, :], pull[..., 0, :] - pull[..., 2, :], pull[..., 1, :] + pull[..., 2, :]], -2)
    return np.concatenate([z[..., 6:], f.reshape(*z.shape[:-1], 6)], -1)


def orbit(f, z0, span, points):
    """The original's integration: RK45 with rtol 1e-9 and SciPy's atol of 1e-6; NaN from where it failed on."""
    s = solve_ivp(f, (0, span), z0, t_eval=np.linspace(0, span, points), rtol=1e-9)
    z = np.full((points, 12), np.nan)
    z[: s.y.shape[1]] = s.y.T
    return z


class Model(torch.nn.Module):
    """12-200-200-n tanh, orthogonal weights, biases on the hidden layers: a field (n = 12) or a scalar H (n = 1)."""

    def __init__(self, hamiltonian):
        super().__init__()
        self.hamiltonian = hamiltonian
        sizes = [12, 200, 200, 1 if hamiltonian else 12]
        self.layers = torch.nn.ModuleList(torch.nn.Linear(sizes[k], sizes[k + 1], bias=k < 2) for k in range(3))
        for layer in self.layers:
            torch.nn.init.orthogonal_(layer.weight)

    def forward(self, z):
        if self.hamiltonian and not z.requires_grad:
            z = z.clone().requires_grad_()
        y = self.layers[2](torch.tanh(self.layers[1](torch.tanh(self.layers[0](z)))))
        if not self.hamiltonian:
            return y
        g = torch.autograd.grad(y.sum(), z, create_graph=self.training)[0]
        return torch.cat([g[:, 6:], -g[:, :6]], 1)

    def field(self, t, z):
        with torch.set_grad_enabled(self.hamiltonian):
            return self(torch.tensor(z[None], dtype=torch.float32)).detach().numpy()[0].astype(float)


def dataset(seed, trajectories):
    draw = np.random.RandomState(seed)
    z = np.concatenate([orbit(field, start(draw.rand(9)), 5, 20) for _ in range(trajectories)])
    return z[len(z) // 5 :], len(z) // 5


def train(model, z, steps, batch):
    x, y = torch.tensor(z, dtype=torch.float32), torch.tensor(field(0, z), dtype=torch.float32)
    adam = torch.optim.Adam(model.parameters(), 1e-3, weight_decay=1e-4)
    last = []
    for step in range(steps):
        i = torch.randperm(len(x))[:batch]
        loss = ((model(x[i]) - y[i]) ** 2).mean()
        adam.zero_grad()
        loss.backward()
        adam.step()
        last = (last + [loss.item()])[-200:]
    return float(np.median(last))


def evaluate(model, starts):
    out = {"mse": [], "mse_61": [], "closest": [], "closest_learned": []}
    for z0 in starts:
        true, learned = orbit(field, z0, 3, 500), orbit(model.field, z0, 3, 500)
        coarse_true, coarse = orbit(field, z0, 3, 61), orbit(model.field, z0, 3, 61)
        for key, a, b in ("mse", learned, true), ("mse_61", coarse, coarse_true):
            value = np.mean((energy(a) - energy(b)) ** 2)
            out[key].append(float(value) if np.isfinite(value) else float("inf"))
        for key, z in ("closest", true), ("closest_learned", learned):
            out[key].append(float(np.nanmin(distances(z)[1])))
    return out


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--model", choices=["mlp", "hnn"], default="mlp")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--trajectories", type=int, default=5000)
    parser.add_argument("--steps", type=int, default=10001)
    o = parser.parse_args()
    for seed in range(o.first, o.first + o.seeds):
        begin = time.process_time()
        z, apart = dataset(seed, o.trajectories)
        made = time.process_time()
        torch.manual_seed(seed)
        model = Model(o.model == "hnn")
        loss = train(model, z, o.steps, 600)
        model.eval()
        trained = time.process_time()
        fresh = np.random.RandomState(10**6 + seed)
        sets = {"fresh": [start(fresh.rand(9)) for _ in range(15)],
                "notebook": [start(np.random.RandomState(i).rand(9)) for i in range(15)]}
        f = np.abs(field(0, z))
        line = {"model": o.model, "seed": seed, "samples": len(z), "training_loss": loss, "largest_derivative": float(f.max()),
                "closest_in_data": float(distances(z)[1].min()), "data_seconds": made - begin, "train_seconds": trained - made}
        for name, starts in sets.items():
            line[name] = evaluate(model, starts)
            for key in "mse", "mse_61":
                line["%s_%s_mean" % (name, key)] = float(np.mean(line[name][key]))
                line["%s_%s_median" % (name, key)] = float(np.median(line[name][key]))
        print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
