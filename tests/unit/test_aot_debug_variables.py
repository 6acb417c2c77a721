"""Which units describe global variables."""

from collections.abc import Mapping, Sequence

from debug_text import STRUCT, analysed, function

from nativecache.aot.debug.variables import Attachments, Variables, describe_variables

UNIT = "!unit"


def found(
    variable: str,
    expression: str = "!DIExpression()",
    *,
    attached: Mapping[str, Sequence[str]],
    ambiguous: frozenset[str] = frozenset(),
    more: str = "",
) -> Variables:
    types = f"""{STRUCT}{more}\
!24 = !DIGlobalVariableExpression(var: !25, expr: {expression})
!25 = distinct !DIGlobalVariable({variable}, file: !1, line: 2, type: !5)
"""
    read = analysed(function(30, "f", 10), function(50, "g", 20), types=types)
    texts = {"@f": "load ptr @v", "@g": "ret void"}
    attachments = Attachments({"!30": "@f", "!50": "@g"}, attached, texts)
    return describe_variables(read, ambiguous, attachments, {"!24": UNIT}, lambda n: f"token of {n}")


TOKEN = "token of !24"
LOCAL = 'name: "v", scope: !0, isLocal: true'


def test_a_variable_is_described_beside_its_definition() -> None:
    made = found(LOCAL, attached={"!24": ["@v"]})
    assert made == Variables([("@v", TOKEN)], {}, {TOKEN: UNIT}, [])


def test_one_in_a_function_is_described_in_the_functions_unit() -> None:
    made = found('name: "v", scope: !33', attached={"!24": ["@f.v"]})
    assert made == Variables([], {"@f": [("@f.v", TOKEN)]}, {TOKEN: UNIT}, [])
    gone = found('name: "v", scope: !33', attached={})
    assert gone.statics == {"@f": [(None, TOKEN)]}


def test_one_without_a_name_is_left_out() -> None:
    assert found("scope: !0", attached={"!24": [".str"]}) == Variables([], {}, {}, [])


def test_one_that_is_only_a_value_is_a_constant() -> None:
    assert found(LOCAL, attached={}) == Variables([], {}, {}, ["!24"])


def test_where_names_are_ambiguous_all_functions_of_the_file_describe_it() -> None:
    made = found(LOCAL, attached={"!24": ["@v"]}, ambiguous=frozenset({"=v"}))
    assert made.statics == {"@f": [("@v", TOKEN)], "@g": [("@v", TOKEN)]}
    assert made.attached == [("@v", TOKEN)]


def test_those_that_mention_one_in_a_nameless_namespace_describe_it() -> None:
    space = "!26 = !DINamespace(scope: null)\n"
    made = found('name: "v", scope: !26, isLocal: true', attached={"!24": ["@v"]}, more=space)
    assert made.statics == {"@f": [("@v", TOKEN)]}
