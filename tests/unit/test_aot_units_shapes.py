"""Shapes of pieces of IR."""

from nativecache.aot.units.shapes import make_shape


def test_a_shape_has_each_token_once() -> None:
    types = ("%S", "%T")
    found = make_shape('call @f(@g, "a @h \\22", !3) @f #1 %x %S %1', types)
    assert found.symbols == ("@f", "@g") and found.repeated == ("@f",)
    assert found.others == ("!3", "#1", "%S")
    assert found.shape == make_shape('call @i(@g, "a @h \\22", !9) @i #0 %x %T %1', types).shape
    assert found.shape != make_shape('call @f(@g, "a @h \\22", !3) @g #1 %x %S %1', types).shape
    for other in ('call @f(@g, "z", !3) @f #1 %x %S %1', 'call @f(@g, "a @h \\22", !3) @f #1 %y %S %1'):
        assert found.shape != make_shape(other, types).shape, "what strings and values are called is kept"
    assert make_shape("@f !1", ()).shape != make_shape("!1 @f", ()).shape
