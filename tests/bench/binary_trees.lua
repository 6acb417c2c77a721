-- Allocation and the garbage collector.
local function tree(depth)
  if depth == 0 then return {} end
  return { tree(depth - 1), tree(depth - 1) }
end
local function count(node) return node[1] and 1 + count(node[1]) + count(node[2]) or 1 end
local most = 15
local long = tree(most)
for depth = 4, most, 3 do
  local times, nodes = 1 << (most - depth + 5), 0
  for _ = 1, times do nodes = nodes + count(tree(depth)) end
  print(times, depth, nodes)
end
print(count(long))
