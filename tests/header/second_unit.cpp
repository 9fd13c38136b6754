#include <recoup/recoup.hpp>

std::string_view version_seen_by_second_unit();
std::string_view version_seen_by_second_unit() { return recoup::library_version; }
