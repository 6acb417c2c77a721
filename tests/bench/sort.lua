-- table.sort with and without a comparison, and a sort written in Lua.
local seed = 1
local function random() seed = (seed * 16807) % 2147483647 return seed end
local function heapsort(t)
  local function sift(root, last)
    while true do
      local child = 2 * root
      if child > last then return end
      if child < last and t[child] < t[child + 1] then child = child + 1 end
      if t[root] >= t[child] then return end
      t[root], t[child] = t[child], t[root]
      root = child
    end
  end
  for i = #t // 2, 1, -1 do sift(i, #t) end
  for last = #t, 2, -1 do t[1], t[last] = t[last], t[1] sift(1, last - 1) end
end
local a, b, c = {}, {}, {}
for i = 1, 400000 do a[i] = random() b[i] = random() c[i] = random() end
table.sort(a)
table.sort(b, function(x, y) return x > y end)
heapsort(c)
for i = 2, #a do assert(a[i - 1] <= a[i] and b[i - 1] >= b[i] and c[i - 1] <= c[i]) end
print(a[1], a[#a], b[1], b[#b], c[1], c[#c])
