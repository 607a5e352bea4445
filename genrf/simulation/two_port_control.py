"""Stability and band edges in ngspice's own language; `genrf.simulation.scattering` has them in Python."""

from __future__ import annotations


def mu_commands(plot: str) -> list[str]:
    """Commands that set ``<plot>_mu`` to the smallest Edwards-Sinsky mu of both ports over a sweep."""
    s11, s12, s21, s22 = (f"{plot}.S_{name}" for name in ("1_1", "1_2", "2_1", "2_2"))
    d, loop = f"{plot}_d", f"{plot}_loop"

    def mu(near: str, far: str) -> str:
        return f"vecmin((1 - mag({near})^2)/(mag({far} - {d}*conj({near})) + {loop} + 1e-30))"

    return [
        f"let {d} = {s11}*{s22} - {s12}*{s21}",
        f"let {loop} = mag({s12}*{s21})",
        f"let {plot}_mu = min({mu(s11, s22)}, {mu(s22, s11)})",
    ]


def band_commands(plot: str, centre: int, last: int) -> list[str]:
    """Commands that set ``low`` and ``high`` to the ends of the 3 dB band around the centre.

    Args:
        plot: of a sweep so fine that interpolating in it is enough.
        centre: its point at the centre.
        last: its last point.
    """
    return [
        f"let f = real({plot}.frequency)",
        f"let g = db({plot}.S_2_1)",
        f"let level = g[{centre}] - 3",
        "* 3 dB band: from the centre outwards to the first point below, interpolated in dB over log frequency.",
        *edge_commands("low", centre, "k > 0", "k - 1"),
        *edge_commands("high", centre, f"k < {last}", "k + 1"),
    ]


def edge_commands(name: str, centre: int, inside: str, following: str) -> list[str]:
    """Commands that set `name` to the frequency where the gain falls below ``level``, from a point outwards.

    Interpolated in dB over log frequency; the vectors ``f`` and ``g`` hold frequency and gain.

    Args:
        centre: point to start from.
        inside: condition under which ``k`` has a following point.
        following: that point.
    """
    return [
        f"let k = {centre}",
        "let found = 0",
        f"while {inside} & found = 0",
        f"  let n = {following}",
        "  if g[n] < level",
        f"    let {name} = f[k]*exp(ln(f[n]/f[k])*(g[k]-level)/(g[k]-g[n]))",
        "    let found = 1",
        "  end",
        "  let k = n",
        "end",
        "if found = 0",
        f"  let {name} = f[k]",
        "end",
    ]
