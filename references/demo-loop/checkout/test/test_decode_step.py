"""Run from the top: python3 -m unittest discover -s test"""

import os
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "python"))

from sglang.srt.layers.decode_step import PARTS_MS, decode_base_ms


class DecodeStep(unittest.TestCase):
    def test_every_part_takes_time(self):
        self.assertTrue(all(ms > 0 for ms in PARTS_MS.values()))

    def test_a_step_is_the_sum_of_its_parts(self):
        self.assertAlmostEqual(decode_base_ms(), sum(PARTS_MS.values()))


if __name__ == "__main__":
    unittest.main()
