// Generates a document, runs each kind of work on it and prints the checksums.
#include "work.h"

#include <iostream>

namespace {
std::uint32_t random_number() {
    static std::uint32_t state = 12345;
    return state = state * 1664525u + 1013904223u;
}

std::string random_word() {
    static const std::regex vowels("[aeiou]");
    std::string word;
    for (unsigned length = 3 + random_number() % 8; word.size() < length;)
        word += char('a' + (random_number() >> 8) % 26);
    return std::regex_search(word, vowels) ? word : word + "\u00e9";
}
json make_document(int records) {
    json list = json::array();
    std::map<std::string, int> words;
    for (int id = 0; id < records; id++) {
        std::vector<std::string> tags;
        for (int i = 0; i < 5; i++)
            words[tags.emplace_back(random_word())]++;
        list.push_back({
            {"id", id},
            {"name", random_word() + " \"" + random_word() + "\""},
            {"tags", tags},
            {"score", random_number() % 100000 / 64.0},
            {"active", random_number() % 2 == 0},
            {"place", {{"x", int(random_number() % 200) - 100}, {"y", nullptr}, {"note", "line\n\ttext"}}},
        });
    }
    return {{"title", "generated " + std::to_string(records)}, {"records", list}, {"words", words}};
}
} // namespace

int main() {
    const json document = make_document(400);
    const std::vector<std::pair<std::string, std::uint64_t>> results{
        {"parse_and_dump", parse_and_dump(document, 60)}, {"run_patches", run_patches(document, 20)},
        {"run_queries", run_queries(document, 200)},      {"scan_log", scan_log(12000)},
        {"rewrite_text", rewrite_text(250)},              {"convert_records", convert_records(document, 120)},
        {"binary_formats", binary_formats(document, 40)},
    };
    std::map<std::string, std::uint64_t> sorted(results.begin(), results.end());
    for (const auto &[name, value] : sorted)
        std::cout << name << ' ' << value << '\n';
    std::cout << checksum(sorted) << '\n';
    return std::regex_match(document.at("title").get<std::string>(), std::regex("generated [0-9]+")) ? 0 : 1;
}
