"""Tests of how scans are cut for a GPU, and in which order it visits their steps.

The planner and the kernels' functions of indices are plain C++: a program made of them
says what they answer.
"""

import shlex
import subprocess
from typing import NamedTuple

import pytest

from mmssm.ops import _build

PROGRAM = r"""
#include <cstdio>
#include "launch.h"
#include "emulator.h"

using namespace mmssm;
using namespace mmssm::cuda;

int main(int, char** arguments) {
  long long v[11];
  for (int i = 0; i < 11; ++i) {
    v[i] = std::atoll(arguments[i + 1]);
  }
  const ScanShape shape = {v[0], v[1],      v[2],      v[3],      v[4],
                           v[5], v[6], v[7] != 0, v[8] != 0, v[10] != 0};
  for (const bool is_forward : {true, false}) {
    const ScanPlan p =
        is_forward ? plan_forward(shape, v[9]) : plan_backward(shape, v[9]);
    std::printf(
        "%lld %lld %lld %lld %lld %lld %lld %lld %d\n", (long long)p.states,
        (long long)p.lanes, (long long)p.rows, (long long)p.blocks, (long long)p.sets,
        (long long)p.spans, (long long)p.span_steps, (long long)p.parts,
        int(p.adds));
    ScanArgs s = {};
    s.batch = v[0];
    s.tokens = v[2];
    s.segment = v[5];
    s.segments = v[6];
    s.spans = p.spans;
    s.span_steps = p.span_steps;
    s.parts = p.parts;
    // The tiles of every part; only of small scans.
    for (int part = 0; v[0] * v[2] < 10000 && part < p.parts; ++part) {
      Tiles<16> tiles(part);
      for (Steps t = tiles.take(s); t.count > 0; t = tiles.take(s)) {
        std::printf(
            "tile %d %d %d %d %d\n", int(is_forward), part, t.n, t.first, t.count);
      }
    }
  }
  // Tokens of two paths: along a row of an index, and back along another.
  const int64_t index[] = {2, 0, 1, 1, 2, 0};
  ScanArgs s = {};
  s.tokens = 3;
  s.index = index;
  s.row[1] = 1;
  s.reverse[1] = true;
  for (int i = 0; i < 3; ++i) {
    // The last time in natural order.
    s.index = i < 2 ? index : nullptr;
    const int k = i % 2;
    std::printf(
        "tokens %d %d %d\n", token_of(s, k, 0), token_of(s, k, 1), token_of(s, k, 2));
  }
}
"""
CHECKPOINT_STEPS = 64
H200 = 132


class Shape(NamedTuple):
    batch: int
    paths: int
    tokens: int
    channels: int
    states: int
    segment: int | None = None
    is_double: bool = False
    is_sampled: bool = False
    can_add: bool = False

    @property
    def steps(self):
        return self.segment or self.tokens

    @property
    def segments(self):
        return -(-self.tokens // self.steps)


class Plan(NamedTuple):
    states: int
    lanes: int
    rows: int
    blocks: int
    sets: int
    spans: int
    span_steps: int
    parts: int
    adds: int


@pytest.fixture(scope='module')
def program(tmp_path_factory):
    try:
        compiler = shlex.split(_build.find_compiler())
    except _build.BuildError as error:
        pytest.skip(str(error))
    folder = tmp_path_factory.mktemp('plan')
    (folder / 'plan.cpp').write_text(PROGRAM)
    subprocess.run(
        [
            *(*compiler, '-std=c++17', '-w', f'-I{_build.SOURCES / "cuda"}'),
            *(str(folder / 'plan.cpp'), '-o', str(folder / 'plan')),
        ],
        check=True,
    )
    return folder / 'plan'


def ask(program, shape, multiprocessors=H200):
    """Returns the lines that the program prints, as words."""
    numbers = (
        *(shape.batch, shape.paths, shape.tokens, shape.channels, shape.states),
        *(shape.steps, shape.segments, int(shape.is_double), int(shape.is_sampled)),
        *(multiprocessors, int(shape.can_add)),
    )
    done = subprocess.run(
        [str(program), *map(str, numbers)], capture_output=True, text=True, check=True
    )
    return [line.split() for line in done.stdout.splitlines()]


def plans(program, shape, multiprocessors=H200):
    """Returns the plans of the forward and of the backward."""
    lines = ask(program, shape, multiprocessors)
    found = [Plan(*map(int, line)) for line in lines if line[0].isdigit()]
    assert len(found) == 2
    return found


@pytest.mark.parametrize(
    ('shape', 'layout'),
    [
        # 64 clips of PoseMamba-S, Hamba, VMamba-T, 8 states: a thread has a row.
        (Shape(64, 4, 4131, 128, 16), (16, 1, 64)),
        (Shape(64, 4, 22, 1024, 1), (1, 1, 64)),
        (Shape(128, 4, 3136, 192, 1), (1, 1, 64)),
        (Shape(64, 4, 4131, 128, 5), (8, 1, 64)),
        # One clip: four threads have a row.
        (Shape(1, 4, 4131, 128, 16), (4, 4, 32)),
        (Shape(1, 4, 4131, 128, 16, is_double=True), (4, 4, 32)),
        # Samples need one layout fewer.
        (Shape(128, 1, 256, 320, 8, is_sampled=True), (16, 1, 64)),
    ],
)
def test_layouts(program, shape, layout):
    forward, _ = plans(program, shape)
    assert forward[:3] == layout


def test_lengths_are_split_only_where_rows_are_few(program):
    forward, backward = plans(program, Shape(64, 4, 4131, 128, 16))
    assert forward.spans == backward.spans == 1
    for plan in plans(program, Shape(1, 4, 4131, 128, 16)):
        warps = 4 * plan.blocks * plan.rows * plan.lanes / 32
        assert warps < 4 * H200 <= warps * plan.spans
    # A small GPU is full with one clip; two spans would do the work twice for nothing.
    assert all(p.spans == 1 for p in plans(program, Shape(1, 4, 4131, 128, 16), 2))
    assert all(p.spans != 2 for p in plans(program, Shape(1, 1, 300, 32, 1)))


def test_a_block_adds_paths_where_rows_are_many(program):
    joints = Shape(15552, 2, 17, 128, 16, can_add=True)
    assert [p.adds for p in plans(program, joints)] == [1, 0]
    # Not into an output of 16 bits, of one clip, of several sets of states, or where
    # blocks have parts of a sample.
    for shape in (
        joints._replace(segment=5),
        joints._replace(can_add=False),
        Shape(1, 4, 4131, 128, 16, can_add=True),
        joints._replace(states=17),
    ):
        assert not any(p.adds for p in plans(program, shape))


def test_plans_cover_all_of_any_scan(program):
    cases = [
        Shape(batch, paths, tokens, channels, states, segment, double, sampled)
        for batch, paths, tokens, segment in (
            *((1, 1, 1, None), (3, 2, 17, None), (2, 4, 130, 65), (1, 1, 4131, None)),
            *((15552, 2, 17, None), (1, 1, 100000, None), (2, 1, 1000, 64)),
        )
        for channels, states in ((1, 1), (65, 16), (320, 17), (1024, 3))
        for double, sampled in ((False, False), (True, False), (False, True))
    ]
    for shape in cases:
        for multiprocessors in (1, H200):
            for plan in plans(program, shape, multiprocessors):
                each = plan.states * plan.lanes
                assert (plan.blocks - 1) * plan.rows < shape.channels
                assert plan.blocks * plan.rows >= shape.channels
                assert (plan.sets - 1) * each < shape.states <= plan.sets * each
                assert (plan.spans - 1) * plan.span_steps < shape.steps
                assert plan.spans * plan.span_steps >= shape.steps
                # Spans begin where states are kept for the backward.
                assert plan.spans == 1 or plan.span_steps % CHECKPOINT_STEPS == 0
                runs = shape.batch * shape.segments * plan.spans
                assert 1 <= plan.parts <= runs
                # No kernel splits the length with 16 states to a thread.
                assert plan.states < 16 or plan.spans == 1


@pytest.mark.parametrize('multiprocessors', [1, H200])
def test_every_step_is_visited_once_and_in_order(program, multiprocessors):
    shape = Shape(3, 1, 600, 4, 1, segment=170)
    lines = ask(program, shape, multiprocessors)
    for is_forward in '10':
        steps = [
            (int(n), int(first) + i)
            for kind, direction, _, n, first, count in (x for x in lines if len(x) == 6)
            if kind == 'tile' and direction == is_forward
            for i in range(int(count))
        ]
        assert sorted(steps) == [(n, t) for n in range(3) for t in range(600)]
        ends = {
            int(first) + int(count)
            for kind, *_, first, count in (x for x in lines if x[0] == 'tile')
        }
        # Tiles end where segments end.
        assert {170, 340, 510, 600} <= ends


def test_paths_are_functions_of_the_step(program):
    lines = ask(program, Shape(1, 1, 3, 1, 1))
    tokens = [tuple(map(int, x[1:])) for x in lines if x[0] == 'tokens']
    assert tokens == [(2, 0, 1), (0, 2, 1), (0, 1, 2)]
