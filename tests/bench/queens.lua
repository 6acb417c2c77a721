-- Backtracking over small tables.
local n, solutions, steps = 10, 0, 0
local column, up, down = {}, {}, {}
local function place(row)
  if row > n then solutions = solutions + 1 return end
  for c = 1, n do
    steps = steps + 1
    if not column[c] and not up[row + c] and not down[row - c + n] then
      column[c], up[row + c], down[row - c + n] = true, true, true
      place(row + 1)
      column[c], up[row + c], down[row - c + n] = nil, nil, nil
    end
  end
end
for _ = 1, 60 do place(1) end
print(solutions, steps)
