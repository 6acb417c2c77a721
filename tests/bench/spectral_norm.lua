-- Nested loops over arrays of floats.
local function a(i, j) local ij = i + j - 1 return 1.0 / (ij * (ij - 1) * 0.5 + i) end
local function multiply(v, n, at)
  local r = {}
  for i = 1, n do
    local sum = 0
    for j = 1, n do sum = sum + at(i, j) * v[j] end
    r[i] = sum
  end
  return r
end
local function step(v, n) return multiply(multiply(v, n, a), n, function(i, j) return a(j, i) end) end
local n = 620
local u, v = {}, nil
for i = 1, n do u[i] = 1 end
for _ = 1, 10 do v = step(u, n) u = step(v, n) end
local vbv, vv = 0, 0
for i = 1, n do vbv = vbv + u[i] * v[i] vv = vv + v[i] * v[i] end
print(("%.9f"):format(math.sqrt(vbv / vv)))
