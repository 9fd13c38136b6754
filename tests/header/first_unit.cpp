#include <recoup/recoup.hpp>

std::string_view version_seen_by_second_unit();

int main() { return recoup::library_version == version_seen_by_second_unit() ? 0 : 1; }
