-- Closures, varargs, tail calls, goto, coroutines, integer and float arithmetic, bit operations.

local function counter(start, step)
  local value = start
  return function() value = value + (step or 1) return value end, function() value = start end
end
local next_value, reset = counter(10, 5)
print(next_value(), next_value(), next_value(), reset(), next_value())

local adders = {}
for i = 1, 5 do adders[i] = function(x) i = i + x return i end end
for i = 1, 5 do io.write(adders[i](100), " ", adders[i](1), ";") end
print()

local function compose(...)
  local chain = table.pack(...)
  return function(...)
    local values = table.pack(...)
    for i = chain.n, 1, -1 do values = table.pack(chain[i](table.unpack(values, 1, values.n))) end
    return table.unpack(values, 1, values.n)
  end
end
print(compose(math.abs, function(a, b) return a - b, b end)(3, 10))
print(select("#", nil, nil), select(-2, "a", "b", "c"), (select(2, "x", "y", "z")))

local function loop(n, sum) if n == 0 then return sum end return loop(n - 1, sum + n) end
print(loop(200000, 0))

local Y = function(f) return (function(x) return x(x) end)(function(x) return f(function(n) return x(x)(n) end) end) end
print(Y(function(self) return function(n) return n < 2 and 1 or n * self(n - 1) end end)(20))

for i = 1, 3 do
  for j = 1, 3 do
    if j == 2 then goto continue end
    if i == 3 then goto done end
    io.write(i, ":", j, " ")
    ::continue::
  end
end
::done:: print("done")

-- coroutines
local function permutations(items, n)
  n = n or #items
  if n <= 1 then coroutine.yield(table.concat(items)) end
  for i = 1, n do
    items[n], items[i] = items[i], items[n]
    if n > 1 then permutations(items, n - 1) end
    items[n], items[i] = items[i], items[n]
  end
end
for word in coroutine.wrap(function() permutations { "a", "b", "c", "d" } end) do io.write(word, " ") end
print()

local co = coroutine.create(function(a, b)
  print("start", a, b)
  local c = coroutine.yield(a + b)
  local d, e = coroutine.yield(c * 2)
  print(coroutine.isyieldable(), coroutine.running())
  error({ code = d + e })
end)
local function shown(ok, value) return ok, type(value) == "table" and "code " .. value.code or value end
print = (function(original)
  return function(...)
    local out = table.pack(...)
    for i = 1, out.n do out[i] = tostring(out[i]):gsub("0x%x+", "ADDRESS") end
    original(table.unpack(out, 1, out.n))
  end
end)(print)
print(coroutine.status(co), shown(coroutine.resume(co, 1, 2)))
print(coroutine.status(co), shown(coroutine.resume(co, 21)))
print(shown(coroutine.resume(co, 4, 5)))
print(coroutine.status(co), coroutine.resume(co))

local function producer(n) return coroutine.wrap(function() for i = 1, n do coroutine.yield(i) end end) end
local function filter(source, keep)
  return coroutine.wrap(function() for v in source do if keep(v) then coroutine.yield(v) end end end)
end
local odd = filter(producer(40), function(v) return v % 2 == 1 end)
for v in filter(odd, function(v) return v % 3 == 0 end) do io.write(v, " ") end
print()

do
  local order = {}
  local function closing(name) return setmetatable({}, { __close = function(_, e) order[#order + 1] = name .. tostring(e) end }) end
  local ok, message = pcall(function()
    local a <close> = closing "a:"
    local b <close> = closing "b:"
    local limit <const> = 3
    error("inside " .. limit, 0)
  end)
  print(ok, message, table.concat(order, " "))
  local wrapped = coroutine.create(function() local c <close> = closing "c:" coroutine.yield(1) end)
  coroutine.resume(wrapped)
  print(coroutine.close(wrapped), order[3])
end

-- numbers
print(7 // 2, -7 // 2, 7 % -3, -7 % 3, 7.5 // 2, -7.5 % 2, 2 ^ 10, 10 / 2, 1e15, 1e16, 2 ^ 53, 1e100)
print(math.maxinteger + 1 == math.mininteger, math.maxinteger * 2, 5 // 0.0, -5 // 0.0, 0 / 0 ~= 0 / 0, 3 | 4, 0xF0 & 0x3C)
print(1 << 63, 1 << 64, -1 >> 1, ~0, 5 ~ 3, "10" + 5, "0x10" * 2, 10 .. 20, 3 == 3.0, math.type(3), math.type(3.0), math.type("3"))
print(math.tointeger(3.0), math.tointeger(3.5), math.floor(-3.5), math.ceil(-3.5), math.fmod(-7, 3), math.ult(1, -1))
print(tonumber("  0x1p4  "), tonumber("1e1"), tonumber("z", 36), tonumber("777", 8), tonumber("8", 8), tonumber(""), tonumber("1 2"))
print(string.format("%.14g %.3f %g", math.pi, math.exp(1), math.sqrt(2)), math.max(1, 2.5), math.min(3, -1), 1 < 1.5, "a" < "b")
for i = 3, 1, -1 do io.write(i, " ") end
for x = 0, 1, 0.25 do io.write(x, " ") end
for i = math.maxinteger - 1, math.maxinteger do io.write(i, " ") end
print()
local xor = 0
for i = 1, 100000 do xor = xor ~ (i * 2654435761) xor = xor << 1 | xor >> 63 end
print(xor)
