"""numba before dolphin: not a bit differs, or it is refused in one line; blocks that only kernels call."""

from __future__ import annotations

import os
import subprocess
import sys

import numba
import pytest

from dolphin.core.jit import inline

RUN = """\
import sys
sys.path[:0] = {path!r}
import numpy as np
from markets import friction, params, random_market
from dolphin.core.engine import engine_for
from dolphin.core.logarithm import ln_array
from dolphin.features.scanner import scan
from dolphin.strategies.vel_div import VEL_DIV
import hashlib
market, engine = random_market(7, 1200, 6), engine_for(VEL_DIV)
state = engine.new_state(6, 25_000.0)
run = engine.run(state, params(), friction(), market, 0, 1200)
block = scan(market.ts, market.price, 0)
text = b"".join(np.ascontiguousarray(v).tobytes() for _, v in sorted(block.columns().items()))
text += ln_array(market.price).tobytes()
print(f"{{int(run.digests[-1]):016x}}", hashlib.sha256(text).hexdigest(), len(run.trades))
"""

#: A user's script before ours: it has compiled a logarithm with numba's defaults.
NUMBA_FIRST = "import numba, math\nnumba.njit(lambda x: math.log(x))(2.0)\n"


def python(program: str, **environment: str) -> subprocess.CompletedProcess[str]:
    clean = {key: value for key, value in os.environ.items() if key != "NUMBA_DISABLE_INTEL_SVML"}
    return subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=300, env=clean | environment
    )


@pytest.mark.slow
def test_numba_first_changes_no_bit() -> None:
    program = RUN.format(path=[path for path in sys.path if path])
    done = [python(program), python(NUMBA_FIRST + program), python(program, NUMBA_DISABLE_INTEL_SVML="0")]
    assert all(one.returncode == 0 for one in done), done[-1].stderr
    assert len({one.stdout for one in done}) == 1 and int(done[0].stdout.split()[-1]) > 5


@pytest.mark.slow
def test_a_numba_that_runs_with_svml_is_refused() -> None:
    program = "import numba\nnumba.config.USING_SVML = True\nimport dolphin.core.jit"  # as where the library is there
    done = python(program)
    assert done.returncode == 1
    assert "ImportError: numba is running with Intel's SVML" in done.stderr.splitlines()[-1]
    assert "NUMBA_DISABLE_INTEL_SVML=1" in done.stderr.splitlines()[-1]
    command = "import sys; from dolphin.cli import main; sys.exit(main(['doctor']))"
    done = python(f"import numba\nnumba.config.USING_SVML = True\n{command}")
    assert done.returncode == 2 and done.stderr.startswith("dolphin: numba is running with Intel's SVML")
    assert len(done.stderr.splitlines()) == 1


@inline
def doubled(x):
    return 2.0 * x


@inline
def one_more(x):
    return doubled(x) + 1.0


def test_a_block_has_no_entry_of_its_own_and_can_be_called_all_the_same() -> None:
    @numba.njit
    def kernel_of(x):
        return one_more(x)

    assert kernel_of(3.0) == 7.0
    assert all("no_cpython_wrapper" in block.targetoptions for block in (doubled, one_more))
    # Compiled into a kernel before or not: what Python gets is the same, and no address of nothing is jumped to.
    assert (one_more(3.0), doubled(4.0), doubled(5)) == (7.0, 8.0, 10.0)
