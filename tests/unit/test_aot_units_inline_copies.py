"""Which functions are instantiated from templates, by their symbols."""

import pytest

from nativecache.aot.units.inline_copies import is_instantiated


@pytest.mark.parametrize(
    "name",
    [
        "_ZNKSt7__cxx1112basic_stringIcSt11char_traitsIcESaIcEE5c_strEv",
        "_ZNSt7__cxx1112basic_stringIcSt11char_traitsIcESaIcEEC2EPKcRKS3_",
        "_ZStlsISt11char_traitsIcEERSt13basic_ostreamIcT_ES5_PKc",
        "_ZSt4endlIcSt11char_traitsIcEERSt13basic_ostreamIT_T0_ES6_",
        "_ZNSolsEi",
        "_ZNSs6appendEPKc",
        "_Z3maxIiET_S0_S0_",
        "_ZN3fooB5cxx113barIiEEvv",
        "_ZN1AplIiEEvT_",
        "_ZNO1AIiE1fEv",
    ],
)
def test_of_a_template(name: str) -> None:
    assert is_instantiated(name)


@pytest.mark.parametrize(
    "name",
    [
        "f",
        "I",
        "_Z",
        "_ZN",
        "_Z3inl",
        "_Z3inli",
        "_Z3inlSt6vectorIiSaIiEE",  # its parameter is
        "_ZN1A1fESt6vectorIiE",
        "_ZN1AC1Ev",
        "_ZSt9terminatev",
        "_ZN3III1IEv",
        "_Z9tooshortI",
        "_R3fooIi",
        "_ZTV1AIiE",
        "_ZThn8_N1AIiE1fEv",
        "_ZNK1Acv1BIiEEv",  # a conversion to one is none
        "_ZN1AcvSt6vectorIiSaIiEEEv",
        "_ZN1AcvSsEv",
    ],
)
def test_of_no_template_for_sure(name: str) -> None:
    assert not is_instantiated(name)
