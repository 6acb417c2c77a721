-- Generators: primes from a chain of filters, and the nodes of a tree in order.
local function numbers() return coroutine.wrap(function() for n = 2, math.huge do coroutine.yield(n) end end) end
local function filter(source, prime)
  return coroutine.wrap(function()
    while true do
      local n = source()
      if n % prime ~= 0 then coroutine.yield(n) end
    end
  end)
end
local prime
for _ = 1, 70 do
  local source = numbers()
  for _ = 1, 150 do prime = source() source = filter(source, prime) end
  for _ = 1, 150 do prime = source() end
end
local function build(low, high)
  if low > high then return nil end
  local middle = (low + high) // 2
  return { value = middle, left = build(low, middle - 1), right = build(middle + 1, high) }
end
local function walk(node)
  if node then walk(node.left) coroutine.yield(node.value) walk(node.right) end
end
local sum, root = 0, build(1, 100000)
for _ = 1, 24 do
  for value in coroutine.wrap(function() walk(root) end) do sum = (sum * 3 + value) % 1000003 end
end
print(prime, sum)
