-- Building, formatting, searching and replacing strings.
local parts = {}
for i = 1, 400000 do parts[#parts + 1] = string.format("%d:%s:%x", i, ("ab"):rep(i % 5), i * 31) end
local text = table.concat(parts, ",")
local fields, sum = 0, 0
for number, letters, hex in text:gmatch("(%d+):(%a*):(%x+)") do
  fields = fields + 1
  sum = (sum + tonumber(number) + #letters * tonumber(hex, 16)) & 0xffffffff
end
local replaced, times = text:gsub("abab", function(s) return s:upper():reverse() end)
local vowels = select(2, replaced:lower():gsub("[aeiou]", ""))
local joined = ""
for i = 1, 8000 do joined = joined .. i end
print(#text, fields, sum, times, vowels, #joined, replaced:find("399999:", 1, true))
