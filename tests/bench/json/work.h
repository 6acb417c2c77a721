// What the files of the JSON benchmark share. Each file is one kind of work and returns a checksum.
#pragma once

#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <regex>
#include <string>
#include <vector>

using nlohmann::json;

std::uint64_t parse_and_dump(const json &document, int rounds);
std::uint64_t run_patches(json document, int rounds);
std::uint64_t run_queries(const json &document, int rounds);
std::uint64_t scan_log(int lines);
std::uint64_t rewrite_text(int rounds);
std::uint64_t convert_records(const json &document, int rounds);
std::uint64_t binary_formats(const json &document, int rounds);

// FNV-1a.
inline std::uint64_t checksum(const std::string &text, std::uint64_t hash = 14695981039346656037u) {
    for (unsigned char c : text)
        hash = (hash ^ c) * 1099511628211u;
    return hash;
}

template <typename Key, typename Value> std::uint64_t checksum(const std::map<Key, Value> &map) {
    std::uint64_t hash = 0;
    for (const auto &[key, value] : map)
        hash = checksum(json(key).dump() + json(value).dump(), hash + 1);
    return hash;
}
