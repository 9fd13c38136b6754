// Signs requests that come as JSON, one a line, and prints what would be sent, for comparison with other programs'
// signatures (tests/interop/s3/test_signature.py).
//
//   in   {"method", "host", "path", "query": [[name, value]…], "headers": [[name, value]…], "payload_hash", "region",
//         "id", "secret", "token", "time": seconds since 1970, "lifetime": seconds, 0 to sign in the header}
//   out  {"target": path and query, "headers": {name: value}}
#include <iostream>

#include <recoup/json/json_reader.hpp>
#include <recoup/json/json_writer.hpp>
#include <recoup/s3/signature.hpp>

namespace {

using namespace recoup;

template <class Add>
void read_pairs(json_value& value, Add&& add) {
  for_each_element(value, [&](json_value& pair) {
    std::vector<std::string> both;
    read(pair, both);
    add(std::move(both.at(0)), std::move(both.at(1)));
  });
}

std::string answer(const std::string& line) {
  signing_request request;
  s3_credentials credentials;
  signing_scope scope;
  std::int64_t time = 0, lifetime = 0;
  read_json(as_bytes(line), "the request", [&](json_object root) {
    for_each_field(root, [&](std::string_view key, json_value& value) {
      if (key == "method") read(value, request.method);
      if (key == "host") read(value, request.host);
      if (key == "path") read(value, request.path);
      if (key == "payload_hash") read(value, request.payload_hash);
      if (key == "region") read(value, scope.region);
      if (key == "id") read(value, credentials.access_key_id);
      if (key == "secret") credentials.secret_access_key = make_secret(string_of(value));
      if (key == "token") read(value, credentials.session_token);
      if (key == "time") read(value, time);
      if (key == "lifetime") read(value, lifetime);
      if (key == "query")
        read_pairs(value, [&](auto name, auto content) { request.query.emplace_back(name, content); });
      if (key == "headers")
        read_pairs(value, [&](auto name, auto content) { request.headers.push_back({name, content}); });
    });
  });
  const std::chrono::system_clock::time_point now{std::chrono::seconds(time)};
  json_writer out;
  out.begin_object();
  if (lifetime != 0) {
    out.field("target", presign(request, credentials, scope, now, std::chrono::seconds(lifetime)));
    return out.end_object().take();
  }
  auto target = uri_escape_path(request.path);
  if (!request.query.empty()) target += '?' + uri_query_string(request.query);
  out.field("target", target).key("headers").begin_object();
  for (const auto& [name, value] : sign(request, credentials, scope, now)) out.field(name, value);
  return out.end_object().end_object().take();
}

}  // namespace

int main() {
  try {
    for (std::string line; std::getline(std::cin, line);) std::cout << answer(line) << '\n';
    return 0;
  } catch (const std::exception& problem) {
    std::cerr << problem.what() << '\n';
    return 1;
  }
}
