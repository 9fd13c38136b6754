#include "schedule_json.hpp"

#include <recoup/json/json_writer.hpp>

#include "format.hpp"

namespace recoup::cli {

std::string render_json(const schedule_definition& definition, const std::vector<schedule_file>& files) {
  constexpr std::size_t shown_runs = 5;
  json_writer json;
  json.begin_object().key("files").begin_array();
  for (const auto& file : files)
    json.begin_object()
        .field("path", file.path)
        .field("mode", formatted("%04o", file.mode))
        .field("content", file.content)
        .field("secret", file.is_secret)
        .end_object();
  json.end_array()
      .key("units")
      .begin_object()
      .field("service", definition.name + ".service")
      .field("timer", definition.name + ".timer")
      .end_object();
  json.strings("on_calendar", on_calendar_lines(definition)).key("next").begin_array();
  for (const auto& time : next_runs(definition, current_time(), shown_runs)) json.value(time);
  return json.end_array().end_object().take();
}

}  // namespace recoup::cli
