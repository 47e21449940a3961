"""Engine presets: the conventions that theory.md lists, under the names of the engines."""

import pytest

from theory.engines import PRESETS
from theory.schemes import SCHEMES, resolve


def test_presets_are_the_conventions_of_the_libraries():
    conventions = {name: (e.ddof, e.eps, e.singleton) for name, e in PRESETS.items()}
    assert conventions == {
        "trl": (1, 1e-4, "refuse"),
        "verl": (1, 1e-6, "raw"),
        "openrlhf": (1, 1e-9, "refuse"),
        "open_instruct": (0, 1e-8, "refuse"),
    }


@pytest.mark.parametrize("engine", PRESETS)
def test_a_preset_sets_those_options_that_a_scheme_has_and_no_others(engine):
    for name, scheme in SCHEMES.items():
        shared = set(PRESETS[engine].options()) & set(scheme.options)
        if not shared:
            with pytest.raises(ValueError, match="is the same in every engine"):
                resolve(name, engine=engine)
            continue
        bound = resolve(name, engine=engine)
        for option, value in bound.options.items():
            expected = PRESETS[engine].options() if option in shared else scheme.options
            assert value == expected[option]
