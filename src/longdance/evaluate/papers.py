"""What the papers print, to stand beside our own numbers: other data, other feature code, other machines.

Only cells that can be read without doubt are here; EDMG's table 2 came to us with its columns run together.
"""

from typing import NamedTuple


class PublishedTable(NamedTuple):
    """A table of a paper."""

    source: str
    data: str
    rows: dict[str, dict[str, float]]
    """System to measure to value; measures are named as in our reports, without a variant."""


EDMG_AIST = PublishedTable(
    "EDMG, table 2",
    "AIST++, 10 s at 60 fps",
    {
        "Ground truth": {"beat_alignment": 0.51, "multimodal_distance": 3.7},
        "FACT": {"fid_k": 55.35, "fid_g": 30.34, "beat_alignment": 0.18, "multimodal_distance": 9.3, "seconds": 29.63},
        "Bailando": {"fid_k": 28.17, "beat_alignment": 0.23, "multimodal_distance": 8.6, "seconds": 6.63},
        "Lodge": {
            "fid_k": 37.09, "fid_g": 18.79, "physical_foot_contact": 1.07, "physical_body_contact": 3.23,
            "div_k": 5.58, "div_g": 4.85, "beat_alignment": 0.24, "multimodal_distance": 6.9, "seconds": 5.64,
        },
        "EDGE": {"beat_alignment": 0.21, "multimodal_distance": 6.5, "seconds": 7.24},
        "EDMG": {
            "fid_k": 10.69, "fid_g": 7.35, "physical_foot_contact": 0.96, "physical_body_contact": 2.34,
            "beat_alignment": 0.41, "multimodal_distance": 4.5, "seconds": 3.64,
        },
    },
)  # fmt: skip
EDMG_FINEDANCE = PublishedTable(
    "EDMG, table 3",
    "FineDance",
    {
        "EDGE": {"fid_k": 94.34, "fid_g": 50.38, "beat_alignment": 0.21},
        "Lodge": {"fid_k": 45.56, "fid_g": 34.29, "beat_alignment": 0.23},
        "EDMG": {"fid_k": 40.23, "fid_g": 35.75, "beat_alignment": 0.32},
    },
)


def _lodge_row(fid_k, fid_g, skating, div_k, div_g, beats, seconds=None, wins=None) -> dict[str, float]:
    cells = {
        "fid_k": fid_k, "fid_g": fid_g, "foot_skating_ratio": skating, "div_k": div_k, "div_g": div_g,
        "beat_alignment": beats, "seconds": seconds, "wins": wins,
    }  # fmt: skip
    return {name: value for name, value in cells.items() if value is not None}


LODGE_FINEDANCE = PublishedTable(
    "Lodge, table 1",
    "FineDance, 1024 frames at 30 fps; wins is how often people preferred Lodge (DDPM)",
    {
        "Ground truth": _lodge_row(None, None, 0.0622, 9.73, 7.44, 0.2120, None, 0.426),
        "FACT": _lodge_row(113.38, 97.05, 0.2844, 3.36, 6.37, 0.1831, 35.88, 0.967),
        "MNET": _lodge_row(104.71, 90.31, 0.3936, 3.12, 6.14, 0.1864, 38.91, 0.923),
        "Bailando": _lodge_row(82.81, 28.17, 0.1876, 7.74, 6.25, 0.2029, 5.46, 0.682),
        "EDGE": _lodge_row(94.34, 50.38, 0.2004, 8.13, 6.45, 0.2116, 8.59, 0.806),
        # The run times of the two are exchanged in the printed table; the text gives them so.
        "Lodge (DDIM)": _lodge_row(50.00, 35.52, 0.0276, 5.67, 4.96, 0.2269, 4.57),
        "Lodge (DDPM)": _lodge_row(45.56, 34.29, 0.0501, 6.75, 5.64, 0.2397, 30.93),
    },
)
LODGE_AIST = PublishedTable(
    "Lodge, table 2",
    "AIST++",
    {
        "Ground truth": _lodge_row(17.10, 10.60, None, 8.19, 7.45, 0.2374),
        "Li et al.": _lodge_row(86.43, 43.46, None, 6.85, 3.32, 0.1607),
        "DanceNet": _lodge_row(69.18, 25.49, None, 2.86, 2.85, 0.1430),
        "DanceRevolution": _lodge_row(73.42, 25.92, None, 3.52, 4.87, 0.1950),
        "FACT": _lodge_row(35.35, 22.11, None, 5.94, 6.18, 0.2209),
        "Bailando": _lodge_row(28.16, 9.62, None, 7.83, 6.34, 0.2332),
        "EDGE": _lodge_row(42.16, 22.12, None, 3.96, 4.61, 0.2334),
        "Lodge (DDPM)": _lodge_row(37.09, 18.79, None, 5.58, 4.85, 0.2423),
    },
)
TABLES = (EDMG_AIST, EDMG_FINEDANCE, LODGE_FINEDANCE, LODGE_AIST)
