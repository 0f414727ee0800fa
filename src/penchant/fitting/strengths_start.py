"""Where a climb to strengths starts: what winning says when everybody met anybody.

Legend: N items.
"""

import numpy as np
from jaxtyping import Float

from penchant.numerics.arrays import Array

# Beyond a sd of three logits most meetings are decided, and the approximation with them.
_MOST_VARIANCE = 9.0


def strengths_from_wins(won: Float[Array, " N"], lost: Float[Array, " N"]) -> Float[Array, " N"]:
    """Logits of items that won and lost so often against opponents drawn at random.

    Against opponents spread normally with variance v, an item of strength s wins with log-odds of
    about s / sqrt(1 + pi v / 8) (MacKay 1992), so that log-odds are stretched by that root; v is
    their own variance, less what sampling adds, and stretched likewise. A starting value: where
    opponents are drawn at random it saves a step or two.
    """
    log_odds = np.log((won + 0.5) / (lost + 0.5))
    if len(won) < 2:
        return log_odds
    noise = np.mean(1.0 / (won + 0.5) + 1.0 / (lost + 0.5))
    seen = max(float(np.var(log_odds) - noise), 0.0)
    variance = min(seen / max(1.0 - seen * np.pi / 8.0, 0.1), _MOST_VARIANCE)
    return log_odds * np.sqrt(1.0 + variance * np.pi / 8.0)
