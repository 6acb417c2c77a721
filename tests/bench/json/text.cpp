// Rewrites text with regular expressions and counts its words.
#include "work.h"

#include <algorithm>

namespace {
const std::string sample = R"(Call me at 555-1234 or (555) 987-6543, or write to someone@example.org by 2024-02-29.
The <b>quick</b> brown fox; the <i>lazy</i> dog: "to be, or not to be". Prices: $12.50, $3, and $1,299.99!
int main(void) { return printf("%d\n", 0x1F + 017 - 3.5e-2); } // a comment, of course
)";

std::string rewrite(std::string text) {
    static const std::vector<std::pair<std::regex, std::string>> rules{
        {std::regex(R"(\(?(\d{3})\)?[- ](\d{3,4})(-\d{4})?)"), "<$1.$2>"},
        {std::regex(R"((\w+)@(\w+)\.org)"), "$2 at $1"},
        {std::regex(R"((\d{4})-(\d\d)-(\d\d))"), "$3/$2/$1"},
        {std::regex("</?[bi]>", std::regex::icase), "*"},
        {std::regex(R"(\$(\d+(,\d{3})*(\.\d\d)?))"), "USD $1"},
        {std::regex(R"(\b(be|or|to)\b)"), "[$&]"},
        {std::regex("//[^\n]*"), ""},
    };
    for (const auto &[pattern, replacement] : rules)
        text = std::regex_replace(text, pattern, replacement);
    return text;
}
} // namespace

std::uint64_t rewrite_text(int rounds) {
    static const std::regex word("[[:alpha:]]+");
    std::map<std::string, int> counts;
    std::string last;
    for (int round = 0; round < rounds; round++) {
        std::string text = sample;
        std::rotate(text.begin(), text.begin() + round % int(text.size()), text.end());
        last = rewrite(text);
        for (std::sregex_token_iterator it(last.begin(), last.end(), word), end; it != end; ++it)
            counts[it->str()]++;
    }
    return checksum(json{{"counts", counts}, {"last", last}}.dump());
}
