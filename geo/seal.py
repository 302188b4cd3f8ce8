"""The seal of a net: one hash over who owns which cell and what each grid is."""

from __future__ import annotations

import hashlib
import json

import numpy as np
import pandas as pd

SEALED = ("grid_id", "level", "parent_id", "name", "kind", "code")
"""What of a grid is under the seal, in this order."""


def net_hash(cells: pd.DataFrame, grids: pd.DataFrame) -> bytes:
    """Return the SHA-256 of a net, whatever the order of the rows.

    Parameters
    ----------
    cells : DataFrame, shape (n, 2)
        Columns cell_id and grid_id (the leaf grid).
    grids : DataFrame, shape (k, 6)
        Columns named in `SEALED`; missing values allowed in parent_id and code.

    Returns
    -------
    bytes, length 32

    Examples
    --------
    >>> import pandas as pd
    >>> cells = pd.DataFrame({"cell_id": [2, 1], "grid_id": [7, 7]})
    >>> grids = pd.DataFrame([[7, 1, None, "East", "basic", "01"]], columns=list(SEALED))
    >>> net_hash(cells, grids) == net_hash(cells.iloc[::-1], grids)
    True
    """
    digest = hashlib.sha256()
    pairs = cells[["cell_id", "grid_id"]].to_numpy(dtype="<i8")
    digest.update(np.ascontiguousarray(pairs[np.argsort(pairs[:, 0], kind="stable")]).tobytes())
    ordered = grids.sort_values("grid_id")
    for row in ordered[list(SEALED)].itertuples(index=False):
        values = [None if pd.isna(value) else value for value in row]
        plain = [int(v) if isinstance(v, (int, float, np.number)) else v for v in values]
        digest.update(json.dumps(plain, ensure_ascii=False, separators=(",", ":")).encode() + b"\n")
    return digest.digest()
