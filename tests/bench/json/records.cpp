// Documents to structures and back, with checks.
#include "work.h"

#include <optional>

namespace work {
struct Place {
    int x;
    std::optional<int> y;
};

struct Record {
    int id;
    std::string name;
    std::vector<std::string> tags;
    double score;
    bool active;
    Place place;
};

void to_json(json &j, const Place &p) { j = {{"x", p.x}, {"y", p.y ? json(*p.y) : json()}}; }
void from_json(const json &j, Place &p) {
    j.at("x").get_to(p.x);
    p.y = j.at("y").is_null() ? std::nullopt : std::optional(j.at("y").get<int>());
}
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(Record, id, name, tags, score, active, place)
} // namespace work

std::uint64_t convert_records(const json &document, int rounds) {
    std::uint64_t sum = 0;
    static const std::regex quoted("\"([a-z]+)");
    for (int round = 0; round < rounds; round++) {
        auto records = document["records"].get<std::vector<work::Record>>();
        std::map<std::string, std::vector<int>> index;
        for (auto &record : records) {
            for (const auto &tag : record.tags)
                index[tag.substr(0, 2)].push_back(record.id);
            if (round % 10 == 0 && std::regex_search(record.name, quoted))
                record.place.y = record.place.x + round;
            record.score *= 0.5;
        }
        sum = sum * 31 + checksum(index) + checksum(json(records).dump());
    }
    try {
        document["words"].get<work::Record>();
    } catch (const json::exception &error) {
        sum = checksum(error.what(), sum);
    }
    return sum;
}
