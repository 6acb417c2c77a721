-- The string library, utf8, table functions and sorting.

print(("hello world"):find("o w"), ("hello"):find("l+"), ("a.b"):find(".", 1, true), ("abc"):find("b", -1), (""):find(""))
print(("key = value"):match("^(%w+)%s*=%s*(%w+)$"), ("2024-02-29"):match("(%d+)-(%d+)-(%d+)"), ("abc"):match("()b()"))
print(("THE (quick) fox"):find("%((%a+)%)"), ("f(a(b)c)d"):match("%b()"), ("THE (quick) fox"):gsub("%f[%a]%a+", string.lower))
print(("hello"):gsub("", "-"), ("abc"):gsub("%w", "%0%0"), ("abc def"):gsub("(%w+) (%w+)", "%2 %1"), ("x"):gsub("x", "%%"))
print(("$name is $age"):gsub("%$(%w+)", { name = "Lua", age = 30 }), ("1 2 3"):gsub("%d", function(d) return d * 2 end, 2))
print(("one;two;;four"):gsub(";;", ";nil;"), ("[x]"):gsub("[%[%]]", ""), ("a-z"):match("[a%-z]+"), ("äb"):match("[\xC3-\xC5]."))
for k, v in ("a=1, b=22, c=333"):gmatch("(%w+)=(%w+)") do io.write(k, "->", v, " ") end
print()
print(string.format("%5d|%-5d|%05d|%+d|%x|%X|%#x|%o|%c|%e|%10.3f|%-10s|%.2s|%q|%%|%i|%a", 42, 42, 42, 42, 255, 255, 255, 8, 65,
  12345.678, 3.14159, "left", "cut", 'quo"te\n\0', 7, 0.5))
print(string.format("%s %s %s %q %q", nil, true, setmetatable({}, { __tostring = function() return "object" end }), 1 / 3, math.mininteger))
print(("abc"):rep(3, ","), ("abc"):reverse(), ("abc"):upper(), ("abcdef"):sub(-3, -2), ("abc"):byte(1, -1), #("\u{10FFFF}"), ("x"):rep(0))

local packed = string.pack("<i4 >I2 z s1 d !8 i8 B", -2, 513, "zero", "short", 1.5, -1, 200)
print(#packed, (packed:gsub(".", function(c) return ("%02x"):format(c:byte()) end)))
print(string.unpack("<i4 >I2 z s1 d !8 i8 B", packed))
print(string.packsize("i4 i8 !8 d"), pcall(string.pack, "i1", 300), pcall(string.unpack, "i4", "abc"))

print(utf8.char(72, 228, 8364, 128512), utf8.len("häß€"), utf8.len("\xff"), utf8.codepoint("€", 1), utf8.offset("a€b", 3))
for p, c in utf8.codes("aé€") do io.write(p, "=", c, " ") end
print(#utf8.charpattern)

-- tables
local t = { 5, 2, 8, 1, 9, 3 }
table.sort(t)
print(table.concat(t, " "), table.concat({}, "x"), table.concat({ 1, 2, 3 }, "-", 2, 3))
table.sort(t, function(a, b) return a > b end)
table.insert(t, 4)
table.insert(t, 1, 10)
print(table.remove(t), table.remove(t, 2), #t, table.unpack(t))
print(table.unpack(table.move({ 1, 2, 3 }, 1, 3, 3, { 9, 9 })))

local seed = 42
local function random() seed = (seed * 1103515245 + 12345) % 2147483648 return seed end
local people = {}
for i = 1, 2000 do people[i] = { id = i, age = random() % 90, name = ("%05x"):format(random() % 1048576) } end
table.sort(people, function(a, b) if a.age ~= b.age then return a.age < b.age end return a.name < b.name end)
local checksum = 0
for i, p in ipairs(people) do checksum = (checksum * 31 + p.id * i) % 1000000007 end
print(people[1].name, people[1000].name, people[2000].name, checksum)
print(pcall(table.sort, { 3, 1, "x" }))
print(select(2, pcall(table.sort, { 1, 2, 3, 4, 5 }, function() return true end)))

local words, counts = {}, {}
for word in ([[the quick brown fox jumps over the lazy dog while the other dog sleeps over there]]):gmatch("%a+") do
  if not counts[word] then words[#words + 1] = word end
  counts[word] = (counts[word] or 0) + 1
end
table.sort(words, function(a, b) if counts[a] ~= counts[b] then return counts[a] > counts[b] end return a < b end)
for i = 1, 5 do io.write(words[i], ":", counts[words[i]], " ") end
print()

local buffer = {}
for i = 1, 3000 do buffer[#buffer + 1] = ("%d:%s"):format(i, ("x"):rep(i % 7)) end
local text = table.concat(buffer, "\n")
local lines, hash = 0, 5381
for line in text:gmatch("[^\n]+") do lines = lines + 1 for i = 1, #line do hash = (hash * 33 + line:byte(i)) & 0xffffffff end end
print(lines, #text, hash)

local function serialise(value, indent)
  if type(value) ~= "table" then return string.format("%q", value) end
  local keys, out = {}, {}
  for k in pairs(value) do keys[#keys + 1] = k end
  table.sort(keys, function(a, b) return tostring(a) < tostring(b) end)
  for _, k in ipairs(keys) do out[#out + 1] = indent .. "[" .. serialise(k, "") .. "]=" .. serialise(value[k], indent .. " ") end
  return "{\n" .. table.concat(out, ",\n") .. "}"
end
local source = serialise({ 1, { 2.5, "three" }, key = true, [10] = { deep = { er = "x" } } }, " ")
print(source, serialise(load("return " .. source)(), " ") == source)
print(load("syntax error here", "=chunk"), type(load(function() return nil end)), pcall(load, "return ...", "x", "b"))
local dumped = string.dump(function(a, b) return a * b end)
print(load(dumped, "d", "b")(6, 7), (os.date("!%Y-%m-%d %H:%M:%S", 86400)), os.time { year = 2000, month = 1, day = 2, hour = 12 } > 0)
