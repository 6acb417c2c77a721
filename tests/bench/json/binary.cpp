// The binary formats of the library, each there and back.
#include "work.h"

namespace {
struct Format {
    std::vector<std::uint8_t> (*write)(const json &);
    json (*read)(const std::vector<std::uint8_t> &);
};

const std::map<std::string, Format> formats{
    {"bson", {[](const json &j) { return json::to_bson(j); }, [](const auto &b) { return json::from_bson(b); }}},
    {"cbor", {[](const json &j) { return json::to_cbor(j); }, [](const auto &b) { return json::from_cbor(b); }}},
    {"msgpack", {[](const json &j) { return json::to_msgpack(j); }, [](const auto &b) { return json::from_msgpack(b); }}},
    {"ubjson", {[](const json &j) { return json::to_ubjson(j); }, [](const auto &b) { return json::from_ubjson(b); }}},
};
} // namespace

std::uint64_t binary_formats(const json &document, int rounds) {
    std::uint64_t sum = 0;
    static const std::regex short_name("[a-z]{4,6}");
    for (const auto &[name, format] : formats)
        for (int round = 0; round < rounds; round++) {
            const auto bytes = format.write(document);
            sum = checksum(std::string(bytes.begin(), bytes.end()), sum);
            if (format.read(bytes) != document)
                return 0;
            auto damaged = bytes;
            damaged.resize(bytes.size() / 2);
            try {
                format.read(damaged);
            } catch (const json::exception &error) {
                sum += error.id + std::regex_match(name, short_name);
            }
        }
    return sum;
}
