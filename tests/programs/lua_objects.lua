-- Metatables, inheritance, errors, and the garbage collector.

local Vector = {}
Vector.__index = Vector
local function vector(x, y) return setmetatable({ x = x, y = y }, Vector) end
Vector.__add = function(a, b) return vector(a.x + b.x, a.y + b.y) end
Vector.__mul = function(a, b) if type(a) == "number" then a, b = b, a end return vector(a.x * b, a.y * b) end
Vector.__unm = function(a) return vector(-a.x, -a.y) end
Vector.__eq = function(a, b) return a.x == b.x and a.y == b.y end
Vector.__lt = function(a, b) return a.x < b.x end
Vector.__le = function(a, b) return a.x <= b.x end
Vector.__len = function() return 2 end
Vector.__call = function(self, k) return self[k] end
Vector.__concat = function(a, b) return tostring(a) .. tostring(b) end
Vector.__tostring = function(a) return "(" .. a.x .. ", " .. a.y .. ")" end
Vector.__idiv = function(a, b) return vector(a.x // b, a.y // b) end
Vector.__shl = function(a, b) return vector(a.x << b, a.y << b) end
Vector.__name = "Vector"
local a, b = vector(1, 2), vector(3, 4)
print(tostring(a + b), tostring(2 * a), tostring(-b), a == vector(1, 2), a < b, a <= b, a > b, #a, a "y", a .. b, a .. "!", "<" .. b)
print(tostring(vector(7, 9) // 2), tostring(a << 4), rawequal(a, vector(1, 2)), rawlen({ 1, 2 }), rawget(a, "z"))

local Animal = {}
Animal.__index = Animal
function Animal.new(class, name) return setmetatable({ name = name }, class) end
function Animal:speak() return self.name .. " makes " .. self:sound() end
function Animal:sound() return "a sound" end
local Dog = setmetatable({}, { __index = Animal, __call = Animal.new })
Dog.__index = Dog
function Dog:sound() return "woof" end
print(Animal:new("Cat"):speak(), Dog("Rex"):speak())

local log = {}
local proxy = setmetatable({}, {
  __index = function(_, k) log[#log + 1] = "get " .. k return k .. "?" end,
  __newindex = function(t, k, v) log[#log + 1] = "set " .. k rawset(t, k, v) end,
  __pairs = function(t) return function(_, k) if not k then return 1, "only" end end, t, nil end,
  __metatable = "locked",
})
proxy.x = proxy.y
proxy.x = 2
for k, v in pairs(proxy) do log[#log + 1] = k .. v end
print(table.concat(log, ", "), proxy.x, getmetatable(proxy), pcall(setmetatable, proxy, {}))

local memo = setmetatable({}, { __index = function(t, n) local v = n < 2 and n or t[n - 1] + t[n - 2] rawset(t, n, v) return v end })
print(memo[80], next({}), type(next), #{ 1, 2, nil, 4 } >= 2)

-- errors
local function message(...) return (select(2, pcall(...)):gsub("^.-(%w+%.lua)", "%1")) end
print(message(function() local x = nil; return x.field end))
print(message(function() return 1 + {} end))
print(message(function() return #5 end))
print(message(function() return {} < {} end))
print(message(function() return 1 < "2" end))
print(message(function() undefined_function() end))
print(message(function() local t = {} t[nil] = 1 end))
print(message(function() return 1 // 0 end))
print(message(function() return 2 ^ 53 | 1.5 end))
print(message(function() string.rep("x", -1, 5, error("nested", 2)) end))
print(message(function() for i = 1, 10, 0 do end end))
print(message(string.rep), message(setmetatable, 1), message(("x").bad))
print(message(function() return ("x"):rep(1 << 62) end))
print(pcall(error), pcall(error, nil), select("#", pcall(error, nil)), pcall(error, { 1 }) == false)
print(xpcall(function() error("deep", 0) end, function(m) return m .. " handled " .. #debug.traceback() // 100000 end))
print(pcall(pcall, error, "e"), select(2, xpcall(error, function(m) return m * 2 end, 21)))
local function overflow(n) return 1 + overflow(n + 1) end
print((message(overflow, 1):match("stack overflow")))
print(pcall(string.format, "%d", 1.5))
local caught = {}
for i = 1, 1000 do
  local ok, e = pcall(function() if i % 3 == 0 then error(i, 0) end return i end)
  if not ok then caught[#caught + 1] = e end
end
print(#caught, caught[1], caught[#caught])
print(assert(1, "unused"), pcall(assert, false), pcall(assert, nil, "message"), pcall(assert))

-- garbage collection
collectgarbage()
local before = collectgarbage("count")
do
  local garbage = {}
  for i = 1, 20000 do garbage[i] = { i, tostring(i) } end
  assert(collectgarbage("count") > before + 500)
end
collectgarbage()
print("memory comes back", collectgarbage("count") < before + 200)

local weak_values, weak_keys = setmetatable({}, { __mode = "v" }), setmetatable({}, { __mode = "k" })
local kept = { "kept" }
weak_values.kept, weak_values.lost, weak_values.number = kept, { "lost" }, 7
weak_keys[kept], weak_keys[{}] = "kept key", "lost key"
local ephemeron = setmetatable({}, { __mode = "k" })
do local key = {} ephemeron[key] = { key } end
collectgarbage()
local keys = 0
for _ in pairs(weak_keys) do keys = keys + 1 end
print(weak_values.kept and "kept", weak_values.lost, weak_values.number, keys, next(ephemeron))

local finalised = {}
for i = 1, 3 do setmetatable({}, { __gc = function() finalised[#finalised + 1] = i end }) end
collectgarbage()
print(table.concat(finalised, " "))
local saved
do local phoenix = setmetatable({ "risen" }, { __gc = function(o) saved = o end }) end
collectgarbage()
print(saved and saved[1])

print(collectgarbage("isrunning"), collectgarbage("stop"), collectgarbage("isrunning"), collectgarbage("restart"))
print(collectgarbage("generational"), collectgarbage("incremental"))
local nodes
for round = 1, 30 do
  nodes = {}
  for i = 1, 1000 do nodes[i] = { next = nodes[i - 1], payload = ("p"):rep(i % 50) } end
  collectgarbage("step")
end
print(#nodes, nodes[1000].next.next.payload)
setmetatable({}, { __gc = function() print("closed with the state") end })
local info = debug.getinfo(vector, "S")
print(info.what, info.linedefined, debug.getlocal(vector, 1), (debug.getupvalue(vector, 1)))
print(#arg, arg[1], ... == arg[1], _VERSION)
os.exit(arg[1] and 3 or 0, true)
