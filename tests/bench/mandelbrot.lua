-- Floating point in registers.
local n, inside, checksum = 760, 0, 0
for y = 0, n - 1 do
  local ci = 2.0 * y / n - 1.0
  for x = 0, n - 1 do
    local cr, zr, zi, i = 2.0 * x / n - 1.5, 0.0, 0.0, 0
    while i < 100 and zr * zr + zi * zi < 4.0 do
      zr, zi = zr * zr - zi * zi + cr, 2.0 * zr * zi + ci
      i = i + 1
    end
    if i == 100 then inside = inside + 1 end
    checksum = (checksum * 31 + i) & 0xffffffff
  end
end
print(inside, checksum)
