"""Breaks the kernels, one index or sign at a time, and expects a test to fail.

    python tests/proof/mutants.py [NAME ...]

Each mutant is one change in a copy of the sources. A mutant whose text is not there
exactly once is an error: rewrite it when the kernels are rewritten.
"""

import argparse
import dataclasses
import re
import sys

from scratch_package import ScratchPackage, scratch_package

TESTS = (
    'tests/ops/test_fuzz.py',
    'tests/ops/test_selective_scan.py',
    'tests/ops/test_path_scan.py',
    'tests/ops/test_deform_scan.py',
)
CASES = '60'


@dataclasses.dataclass(frozen=True)
class Mutant:
    """One change of one file below ``csrc``."""

    name: str
    file: str
    old: str
    new: str

    def apply(self, package: ScratchPackage) -> None:
        """Changes the copy.

        Raises:
            ValueError: If the text is not in the file exactly once.
        """
        path = package.sources / self.file
        text = path.read_text()
        count = text.count(self.old)
        if count != 1:
            raise ValueError(
                f'mutant {self.name}: {self.old!r} is in {self.file} {count} times, '
                'expected once'
            )
        path.write_text(text.replace(self.old, self.new))


MUTANTS = (
    Mutant(
        'forward-step-of-C',
        'cpu/forward.h',
        'h[v] * C[t * C_step]',
        'h[v] * C[(t ^ 1) * C_step]',
    ),
    Mutant(
        'forward-skip-lane',
        'cpu/forward.h',
        'D[v] * x[t * V + v]',
        'D[0] * x[t * V + v]',
    ),
    Mutant(
        'tail-lanes-not-cleared',
        'cpu/scan.h',
        'if (p.width < kLanes) {\n      std::memset(tile, 0, sizeof(T) * tokens.count',
        'if (false) {\n      std::memset(tile, 0, sizeof(T) * tokens.count',
    ),
    Mutant(
        'checkpoint-of-another-chunk',
        'cpu/scan.h',
        'slot * num_slots(s) + chunk.number - 1',
        'slot * num_slots(s) + chunk.number / 2',
    ),
    Mutant(
        'path-reversed-within-chunks',
        'cpu/blocks.h',
        's.tokens - 1 - step',
        's.tokens - 1 - chunk.start - (chunk.count - 1 - t)',
    ),
    Mutant(
        'path-sum-in-step-order',
        'cpu/scan.h',
        'reinterpret_cast<Vec<T>*>(sum) + tokens[t] * V',
        'reinterpret_cast<Vec<T>*>(sum) + t * V',
    ),
    Mutant(
        'path-state-of-first-segment',
        'cpu/blocks.h',
        'offset(v, p.n, p.k) + segment * v.stride[2]',
        'offset(v, p.n, p.k)',
    ),
    Mutant(
        'projection-first-rank-only',
        'cpu/scan.h',
        'in[t * rank + r] * weight[r * V + v]',
        'in[t * rank] * weight[r * V + v]',
    ),
    Mutant(
        'projection-backward-first-rank-only',
        'cpu/backward.h',
        'draw[t * V + v] * dt[t * s_.rank + r]',
        'draw[t * V + v] * dt[t * s_.rank]',
    ),
    Mutant(
        'backward-decay-of-this-step',
        'cpu/backward.h',
        'dh[v] * decay[i + V]',
        'dh[v] * decay[i]',
    ),
    Mutant(
        'backward-sign-of-dA',
        'cpu/backward.h',
        'dA[v] += dexponent * delta[i]',
        'dA[v] -= dexponent * delta[i]',
    ),
    Mutant(
        'backward-state-does-not-decay',
        'cpu/backward.h',
        'dstate[v] = dh[v] * decay[v]',
        'dstate[v] = dh[v]',
    ),
    Mutant(
        'backward-two-parts-of-the-batch',
        'cpu/backward.h',
        'sums[j] += sums[b * part + j]',
        'sums[j] += sums[part + j]',
    ),
    Mutant(
        'softplus-slope-lost',
        'cpu/scan.h',
        'slopes[i] = kSoftplus ?',
        'slopes[i] = !kSoftplus ?',
    ),
    Mutant(
        'samples-corner-of-another',
        'cpu/sampled_map.h',
        't.weight[3] * x[t.read[3] * V]',
        't.weight[3] * x[t.read[2] * V]',
    ),
    Mutant(
        'samples-read-what-has-no-weight',
        'cpu/sampled_map.h',
        'read[c] = tap.weight[c] != 0 ? corner[c] : zeros',
        'read[c] = corner[c]',
    ),
    Mutant(
        'samples-idle-lanes-not-cleared',
        'cpu/sampled_map.h',
        'std::memset(u_, 0, sizeof(T) * (size(s) - filled));',
        '',
    ),
    Mutant(
        'samples-nan-place-lost',
        'cpu/sampled_map.h',
        'tap.kind == Tap<T>::kNan ? T(__builtin_nan("")) : scale * 0',
        'scale * 0',
    ),
    Mutant(
        'samples-of-all-groups-alike',
        'cpu/sampled_map.h',
        'n * taps_in(s) +\n           g * s.deform->taps',
        'n * taps_in(s)',
    ),
    Mutant(
        'samples-of-a-group-in-lanes-of-another',
        'cpu/sampled_map.h',
        'lanes[v] ? sum[v] : u[l * V + v]',
        'lanes[v] ? u[l * V + v] : sum[v]',
    ),
    Mutant(
        'samples-instead-of-tokens-in-the-skip',
        'cpu/scan.h',
        'x = rows_of(map.x(), tokens, tiles)',
        'x = rows_of(map.u(), tokens, tiles)',
    ),
    Mutant(
        'tokens-instead-of-samples-in-the-gradient-of-steps',
        'cpu/backward.h',
        'given * u[i]) * slope[i]',
        'given * x[i]) * slope[i]',
    ),
    Mutant(
        'gradient-of-samples-past-their-tokens',
        'cpu/backward.h',
        'add_rows(map_.du(), ddelta_x_, in_.tokens)',
        'add_rows(dx_sum_, ddelta_x_, in_.tokens)',
    ),
    Mutant(
        'gradient-of-corners-without-their-weight',
        'cpu/sampled_map.h',
        'only(v, t.weight[c] * drive[v])',
        'only(v, t.weight[0] * drive[v])',
    ),
    Mutant(
        'gradient-of-the-first-tap-only',
        'cpu/sampled_map.h',
        'products_[4 * m + c] = product',
        'products_[c] = product',
    ),
    Mutant(
        'gradient-of-places-transposed',
        'common/tap.h',
        'fx * (dot[3] - dot[1])',
        'fy * (dot[3] - dot[1])',
    ),
    Mutant(
        'gradient-of-channels-in-one-part-of-the-batch',
        'cpu/sampled_map.h',
        '[(b * num_blocks(s) + block) * count',
        '[block * count',
    ),
)


def main() -> int:
    """Command line; returns the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    names = [mutant.name for mutant in MUTANTS]
    parser.add_argument('names', nargs='*', metavar='NAME', help=', '.join(names))
    chosen = parser.parse_args().names
    unknown = set(chosen) - set(names)
    if unknown:
        parser.error(f'no such mutant: {", ".join(sorted(unknown))}')
    with scratch_package() as package:
        package.build()
        failed = run_tests(package)
        if failed is not None:
            sys.exit(f'error: {failed} without any mutant')
    survivors = []
    for mutant in MUTANTS:
        if chosen and mutant.name not in chosen:
            continue
        with scratch_package() as package:
            mutant.apply(package)
            package.build()
            caught_by = run_tests(package)
        print(f'{mutant.name}: {caught_by or "SURVIVED"}', flush=True)
        if caught_by is None:
            survivors.append(mutant.name)
    print(f'{len(survivors)} survived' if survivors else 'all mutants were caught')
    return 1 if survivors else 0


def run_tests(package: ScratchPackage) -> str | None:
    """Returns the first test that fails, or None."""
    done = package.test(
        *TESTS, '-x', '-W', 'ignore', capture=True, MMSSM_FUZZ_CASES=CASES
    )
    if done.returncode == 0:
        return None
    if done.returncode > 1 or done.returncode < 0:
        return f'the process ended with {done.returncode}'
    failed = re.search(r'^FAILED (\S+)', done.stdout, re.MULTILINE)
    return failed.group(1) if failed else 'an error'


if __name__ == '__main__':
    sys.exit(main())
