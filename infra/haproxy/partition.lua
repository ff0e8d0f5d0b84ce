-- lua.kafka_partition(partitions): the partition of a session's id, as Kafka's default partitioner gives it.
--
-- Murmur2 with seed 0x9747b28c, the sign bit cleared, modulo the number of partitions: the same function as
-- runtime.kafka.murmur2_partition, and a test holds them together.
local MASK, M = 0xFFFFFFFF, 0x5BD1E995

local function murmur2(key)
  local length = #key
  local h = (0x9747B28C ~ length) & MASK
  local whole = length - length % 4
  for i = 1, whole, 4 do
    local a, b, c, d = key:byte(i, i + 3)
    local k = (a | b << 8 | c << 16 | d << 24) * M & MASK
    k = (k ~ (k >> 24)) * M & MASK
    h = (h * M & MASK) ~ k
  end
  local rest = length % 4
  if rest > 0 then
    local value = 0
    for i = rest, 1, -1 do
      value = value << 8 | key:byte(whole + i)
    end
    h = (h ~ value) * M & MASK
  end
  h = (h ~ (h >> 13)) * M & MASK
  return h ~ (h >> 15)
end

core.register_converters("kafka_partition", function(key, partitions)
  return (murmur2(key) & 0x7FFFFFFF) % tonumber(partitions)
end)
