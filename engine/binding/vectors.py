"""How near two names are by the word vectors of `reknit[embed]`: local, and off unless asked for.

Two files of wordllama's wheel are read. None of its code is run: that can download.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.binding.pairs import Side
from engine.binding.words import normalised

_TOKENS = "tokenizers/l2_supercat_tokenizer_config.json"
_VECTORS = "weights/l2_supercat_256.safetensors"

Matrix = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, slots=True)
class Words:
    """The parts that names are cut into, and a vector for each."""

    tokens: Any
    vectors: NDArray[np.float16]


def installed() -> bool:
    """Whether the extra is here; loads nothing."""
    return find_spec("wordllama") is not None and find_spec("safetensors") is not None


def near(fields: Sequence[Side], columns: Sequence[Side]) -> Matrix:
    """Columns by fields: cosine of the header and the nearest of the field's names."""
    return np.array(
        [[_nearest(field.names, column.names[:1]) for field in fields] for column in columns]
    ).reshape(len(columns), len(fields))


def _nearest(names: Iterable[str], header: Iterable[str]) -> float:
    return max(
        (float(_vector(normalised(n)) @ _vector(normalised(h))) for h in header for n in names),
        default=0.0,
    )


@lru_cache(maxsize=20_000)
def _vector(name: str) -> Matrix:
    """Mean of the parts' vectors, of length 1; nothing for no name."""
    words = _words()
    parts = words.tokens.encode(name, add_special_tokens=False).ids
    mean = words.vectors[parts].sum(axis=0, dtype=np.float64)
    return np.asarray(mean / max(float(np.linalg.norm(mean)), 1e-9), dtype=np.float64)


@cache
def _words() -> Words:
    from safetensors import safe_open
    from tokenizers import Tokenizer

    spec = find_spec("wordllama")
    folder = Path((spec and spec.origin) or "").parent
    with safe_open(folder / _VECTORS, framework="numpy") as file:
        vectors = file.get_tensor("embedding.weight")
    return Words(tokens=Tokenizer.from_file(str(folder / _TOKENS)), vectors=vectors)
