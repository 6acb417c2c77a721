// Text to document and back, with and without indentation, and with errors.
#include "work.h"

namespace {
std::uint64_t parse_broken(std::string text) {
    text[text.size() / 2] = '\x01';
    try {
        return json::parse(text).size();
    } catch (const json::parse_error &error) {
        return checksum(error.what());
    }
}

// Counts what a parser callback sees.
std::map<int, int> count_events(const std::string &text) {
    std::map<int, int> events;
    auto seen = json::parse(text, [&](int depth, json::parse_event_t event, json &) {
        events[depth * 10 + int(event)]++;
        return depth < 4;
    });
    events[-1] = int(seen.size());
    return events;
}
} // namespace

std::uint64_t parse_and_dump(const json &document, int rounds) {
    std::uint64_t sum = 0;
    std::string text = document.dump();
    for (int round = 0; round < rounds; round++) {
        json parsed = json::parse(text);
        parsed["round"] = round;
        sum = sum * 31 + checksum(parsed.dump(round % 4)) + parse_broken(text);
        text = parsed.dump(-1, ' ', round % 2 == 0);
    }
    return sum + checksum(count_events(text));
}
