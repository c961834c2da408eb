"""Instructions are counted as they stand in a listing."""

import pytest

from benchmarks.ops import cuda_instructions as counter

KERNEL = '_ZN3run13ForwardKernelINS0_6LayoutIfLi2ELi1ELi64EEELb1ELb0EEE'
# A loop of a softplus, then one of two steps with two states each.
LISTING = f"""
.text.{KERNEL}:
        /*0000*/                   LDC R1, c[0x0][0x28] ;
.L_x_1:
        /*0010*/                   MUFU.EX2 R3, R3 ;
        /*0020*/                   MUFU.RCP R3, R3 ;
        /*0030*/              @!P0 BRA `(.L_x_1) ;
.L_x_2:
        /*0040*/                   MUFU.EX2 R3, R3 ;
        /*0050*/                   MUFU.EX2 R4, R4 ;
        /*0060*/              @P1  FFMA R5, R3, R4, R5 ;
        /*0070*/                   MUFU.EX2 R3, R3 ;
        /*0080*/                   MUFU.EX2 R4, R4 ;
        /*0090*/               @P0 BRA `(.L_x_2) ;
        /*00a0*/              @!P0 BRA `(.L_x_3) ;
.L_x_3:
        /*00b0*/                   EXIT ;
.text.other:
        /*0000*/                   EXIT ;
"""


def test_the_loop_over_steps_is_counted():
    codes = counter.parse(LISTING)
    assert list(codes) == [KERNEL, 'other']
    assert len(codes[KERNEL].instructions) == 12
    (found,) = counter.count(KERNEL, codes[KERNEL])
    assert found == ('forward, 2 states x 1 threads x 64 rows', 'scan', 6, 4)
    assert '| 6 | 4 | 1.5 | 0.047 |' in counter.table([found])
    assert counter.count('other', codes['other']) == []


def test_a_scan_without_exponentials_is_an_error():
    with pytest.raises(RuntimeError, match='no loop with exponentials'):
        counter.count(KERNEL, counter.Code(['EXIT'], []))
