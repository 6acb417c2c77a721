// Reads lines of a log with regular expressions into documents.
#include "work.h"

#include <sstream>

namespace {
std::string make_line(int i) {
    std::ostringstream out;
    out << "2024-0" << 1 + i % 9 << "-1" << i % 10 << "T0" << i % 10 << ":15:0" << i % 7 << "Z ["
        << (i % 3 ? "info" : "error") << "] host" << i % 13 << ": request /item/" << i * 17 % 1000 << " took " << i * 31 % 977
        << " ms";
    if (i % 5 == 0)
        out << " user=\"name " << i % 50 << "\" size=" << i;
    return out.str();
}
} // namespace

std::uint64_t scan_log(int lines) {
    const std::regex line(R"((\d{4}-\d\d-\d\d)T(\d\d):\d\d:\d\dZ \[(\w+)\] (\w+): request (\S+) took (\d+) ms(.*))");
    const std::regex field(R"re((\w+)=(?:"([^"]*)"|(\d+)))re");
    std::map<std::string, std::vector<int>> times;
    json errors = json::array();
    for (int i = 0; i < lines; i++) {
        const std::string text = make_line(i);
        std::smatch match;
        if (!std::regex_match(text, match, line))
            continue;
        times[match.str(4)].push_back(std::stoi(match.str(6)));
        if (match.str(3) != "error")
            continue;
        json error{{"day", match.str(1)}, {"path", match.str(5)}};
        const std::string rest = match.str(7);
        for (std::sregex_iterator it(rest.begin(), rest.end(), field), end; it != end; ++it)
            error[it->str(1)] = (*it)[2].matched ? json(it->str(2)) : json(std::stoi(it->str(3)));
        errors.push_back(std::move(error));
    }
    return checksum(errors.dump(), checksum(times));
}
