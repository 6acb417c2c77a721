// Differences between documents, patches and merges.
#include "work.h"

std::uint64_t run_patches(json document, int rounds) {
    std::uint64_t sum = 0;
    for (int round = 0; round < rounds; round++) {
        json changed = document;
        auto &records = changed["records"];
        for (std::size_t i = round; i < records.size(); i += 7) {
            records[i]["score"] = records[i]["score"].get<double>() + round;
            records[i]["tags"].push_back("round " + std::to_string(round));
            records[i]["place"].erase("note");
        }
        const json patch = json::diff(document, changed);
        if (document.patch(patch) != changed)
            return 0;
        document = changed;
        document.merge_patch({{"words", {{"added" + std::to_string(round), round}}}, {"title", nullptr}});
        document["title"] = "patched";
        std::map<std::string, int> operations;
        for (const auto &step : patch)
            operations[step.at("op").get<std::string>()]++;
        sum = sum * 31 + checksum(patch.dump()) + checksum(operations);
    }
    const std::regex numbers("[0-9]+");
    return checksum(std::regex_replace(document["words"].dump(), numbers, "#"), sum);
}
