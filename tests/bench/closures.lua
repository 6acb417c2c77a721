-- Closures, upvalues, varargs and method calls.
local function map(list, f) local out = {} for i = 1, #list do out[i] = f(list[i]) end return out end
local function fold(list, f, value) for i = 1, #list do value = f(value, list[i]) end return value end
local function compose(f, g) return function(...) return f(g(...)) end end
local Account = {}
Account.__index = Account
function Account.new() return setmetatable({ balance = 0 }, Account) end
function Account:deposit(amount) self.balance = (self.balance + amount) % 1000003 return self end
local list, account, total = {}, Account.new(), 0
for i = 1, 1000 do list[i] = i end
for round = 1, 4500 do
  local offset = round
  local shifted = map(list, compose(function(x) return x * 2 end, function(x) offset = offset + 1 return x + offset end))
  total = (total + fold(shifted, function(a, b) return a + b end, 0)) % 1000003
  for i = 1, #shifted do account:deposit(shifted[i]):deposit(select("#", i, i)) end
end
print(total, account.balance)
