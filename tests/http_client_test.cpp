// Against a small server on a thread of its own that misbehaves as asked. What real servers do is shown by the S3 tests.
#include <gtest/gtest.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include <recoup/core/bytes.hpp>
#include <recoup/core/file_descriptor.hpp>
#include <recoup/http/client.hpp>

namespace {

using namespace recoup;
using namespace std::chrono_literals;

/// Accepts connections one after the other and hands each to `serve` until that returns false.
class odd_server {
public:
  explicit odd_server(std::function<bool(int)> serve) : serve_(std::move(serve)) {
    listener_ = file_descriptor(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    ::bind(listener_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address);
    ::listen(listener_.get(), 64);
    socklen_t length = sizeof address;
    ::getsockname(listener_.get(), reinterpret_cast<sockaddr*>(&address), &length);
    port_ = ntohs(address.sin_port);
    thread_ = std::jthread([this] { run(); });
  }
  ~odd_server() {
    ::shutdown(listener_.get(), SHUT_RDWR);
    thread_.join();
  }

  [[nodiscard]] std::string url(const std::string& path = "/") const {
    return "http://127.0.0.1:" + std::to_string(port_) + path;
  }
  [[nodiscard]] int connections() const { return connections_; }

private:
  void run() {
    std::vector<std::jthread> handlers;
    for (;;) {
      const int connection = ::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC);
      if (connection < 0) return;
      ++connections_;
      handlers.emplace_back([this, connection] {
        const file_descriptor held(connection);
        while (serve_(connection)) {
        }
      });
    }
  }

  std::function<bool(int)> serve_;
  file_descriptor listener_;
  std::uint16_t port_ = 0;
  std::atomic<int> connections_{0};
  std::jthread thread_;
};

/// Reads up to the end of the headers and the body that Content-Length announces; empty at the end of the connection.
std::string read_request(int connection) {
  std::string text;
  char buffer[65536];
  std::size_t body = 0, head = std::string::npos;
  while (head == std::string::npos || text.size() < head + 4 + body) {
    const auto got = ::read(connection, buffer, sizeof buffer);
    if (got <= 0) return {};
    text.append(buffer, static_cast<std::size_t>(got));
    if (head == std::string::npos && (head = text.find("\r\n\r\n")) != std::string::npos)
      if (const auto at = text.find("Content-Length: "); at < head) body = std::stoul(text.substr(at + 16));
  }
  return text;
}

void send_text(int connection, std::string_view text) {
  while (!text.empty()) {
    const auto sent = ::send(connection, text.data(), text.size(), MSG_NOSIGNAL);
    if (sent <= 0) return;
    text.remove_prefix(static_cast<std::size_t>(sent));
  }
}

std::string answer(const std::string& status, const std::string& body, const std::string& headers = "") {
  return "HTTP/1.1 " + status + "\r\nContent-Length: " + std::to_string(body.size()) + "\r\n" + headers + "\r\n" + body;
}

/// What kind of failure `perform` ends in; fails the test if it succeeds.
http_failure failure_of(http_client& client, const http_request& request, std::string* message = nullptr) {
  try {
    (void)client.perform(request);
    ADD_FAILURE() << "no failure";
  } catch (const http_error& problem) {
    if (message != nullptr) *message = problem.what();
    return problem.kind();
  }
  return http_failure::local;
}

http_request get(const std::string& url) {
  http_request request;
  request.url = url;
  return request;
}

TEST(http_client, sends_what_it_is_given_and_nothing_is_rewritten) {
  std::string seen;
  odd_server server([&](int connection) {
    auto request = read_request(connection);
    if (request.empty()) return false;
    seen = std::move(request);
    send_text(connection, answer("200 OK", "fine", "X-One:  a b \r\nx-one: c\r\n"));
    return true;
  });
  http_client client;
  auto request = get(server.url("/a//b/../c%20d?x=1"));
  request.method = "PUT";
  const std::string body(100'000, 'y');
  request.body = as_bytes(body);
  request.headers = {{"X-Two", "2"}};
  const auto response = client.perform(request);
  EXPECT_TRUE(seen.starts_with("PUT /a//b/../c%20d?x=1 HTTP/1.1\r\n")) << seen.substr(0, 200);
  EXPECT_NE(seen.find("\r\nX-Two: 2\r\n"), std::string::npos);
  EXPECT_EQ(seen.find("Expect"), std::string::npos);
  EXPECT_NE(seen.find("User-Agent: recoup/"), std::string::npos);
  EXPECT_TRUE(seen.ends_with("\r\n\r\n" + body));
  EXPECT_EQ(response.status, 200);
  EXPECT_EQ(response.body, "fine");
  EXPECT_EQ(*response.header("X-ONE"), "c");
  EXPECT_EQ(response.headers[1].value, "a b");
}

TEST(http_client, bodies_go_where_they_belong) {
  odd_server server([&](int connection) {
    const auto request = read_request(connection);
    if (request.empty()) return false;
    if (request.find("/missing") != std::string::npos)
      send_text(connection, answer("404 Not Found", "none"));
    else if (request.find("/empty") != std::string::npos)
      send_text(connection, answer("200 OK", ""));
    else
      send_text(connection, answer("200 OK", "0123456789"));
    return true;
  });
  http_client client;
  bytes content{1, 2, 3};
  auto request = get(server.url());
  request.content = &content;
  EXPECT_EQ(client.perform(request).received, 10u);
  EXPECT_EQ(as_text(content), "0123456789");
  request.url = server.url("/missing");
  EXPECT_EQ(client.perform(request).body, "none");
  EXPECT_EQ(as_text(content), "0123456789");
  request.url = server.url("/empty");
  EXPECT_EQ(client.perform(request).status, 200);
  EXPECT_TRUE(content.empty());

  bytes place(10, std::uint8_t{'x'});
  auto ranged = get(server.url());
  ranged.into = place;
  EXPECT_EQ(client.perform(ranged).received, 10u);
  EXPECT_EQ(as_text(place), "0123456789");
  ranged.into = byte_span(place).first(4);
  EXPECT_EQ(failure_of(client, ranged), http_failure::bad_response);
}

TEST(http_client, connections_are_used_again) {
  odd_server server([&](int connection) {
    if (read_request(connection).empty()) return false;
    send_text(connection, answer("200 OK", "x"));
    return true;
  });
  http_client client;
  for (int i = 0; i < 20; ++i) EXPECT_EQ(client.perform(get(server.url())).status, 200);
  EXPECT_EQ(server.connections(), 1);
}

TEST(http_client, an_answer_that_breaks_off_is_an_error) {
  odd_server server([&](int connection) {
    if (read_request(connection).empty()) return false;
    send_text(connection, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly this");
    return false;
  });
  http_client client;
  bytes content;
  auto request = get(server.url());
  request.content = &content;
  EXPECT_EQ(failure_of(client, request), http_failure::broken);
}

TEST(http_client, a_stalled_answer_is_given_up_and_the_message_names_the_flag) {
  std::atomic<bool> done{false};
  odd_server server([&](int connection) {
    if (read_request(connection).empty()) return false;
    send_text(connection, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly this");
    while (!done) std::this_thread::sleep_for(10ms);
    return false;
  });
  http_options options;
  options.stall_timeout = 300ms;
  http_client client(options);
  std::string message;
  const auto start = std::chrono::steady_clock::now();
  EXPECT_EQ(failure_of(client, get(server.url()), &message), http_failure::stalled);
  EXPECT_LT(std::chrono::steady_clock::now() - start, 60s);
  EXPECT_NE(message.find("--stuck-request-timeout"), std::string::npos) << message;
  done = true;
}

TEST(http_client, a_slow_answer_is_not_a_stalled_one) {
  odd_server server([&](int connection) {
    if (read_request(connection).empty()) return false;
    send_text(connection, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n");
    for (int i = 0; i < 10; ++i) {
      std::this_thread::sleep_for(500ms);
      send_text(connection, "x");
    }
    return true;
  });
  http_options options;
  options.stall_timeout = 4s;  // less than all of it takes, and more than a busy machine may add to one pause
  http_client client(options);
  EXPECT_EQ(client.perform(get(server.url())).body, "xxxxxxxxxx");
}

TEST(http_client, a_stop_ends_a_request_at_once) {
  std::atomic<bool> done{false};
  odd_server server([&](int connection) {
    if (read_request(connection).empty()) return false;
    while (!done) std::this_thread::sleep_for(10ms);
    return false;
  });
  http_client client;
  std::stop_source stop;
  std::jthread stopper([&] {
    std::this_thread::sleep_for(50ms);
    stop.request_stop();
  });
  try {
    (void)client.perform(get(server.url()), stop.get_token());
    ADD_FAILURE() << "it was not stopped";
  } catch (const error& problem) {
    EXPECT_EQ(problem.code(), error_code::interrupted);
  }
  done = true;
}

TEST(http_client, a_stop_leaves_a_request_its_grace) {
  std::atomic<bool> done{false};
  odd_server server([&](int connection) {
    const auto request = read_request(connection);
    if (request.empty()) return false;
    const bool is_quick = request.find("/quick") != std::string::npos;
    for (int waited = 0; !done && !(is_quick && waited >= 200); ++waited) std::this_thread::sleep_for(1ms);
    send_text(connection, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    return true;
  });
  http_client client;
  const auto perform = [&](const std::string& path, std::chrono::milliseconds grace, std::chrono::milliseconds stop_after) {
    auto request = get(server.url() + path);
    request.grace_after_stop = grace;
    std::stop_source stop;
    if (stop_after == 0ms) stop.request_stop();
    const std::jthread stopper([&] {
      std::this_thread::sleep_for(stop_after);
      stop.request_stop();
    });
    return client.perform(request, stop.get_token()).body;
  };
  EXPECT_EQ(perform("/quick", 30s, 50ms), "ok");
  EXPECT_EQ(perform("/quick", 30s, 0ms), "ok");
  try {
    (void)perform("/slow", 100ms, 50ms);
    ADD_FAILURE() << "its grace did not end";
  } catch (const error& problem) {
    EXPECT_EQ(problem.code(), error_code::interrupted);
  }
  done = true;
}

TEST(http_client, says_what_cannot_be_reached) {
  http_client client;
  std::string message;
  EXPECT_EQ(failure_of(client, get("http://127.0.0.1:1/"), &message), http_failure::unreachable);
  EXPECT_NE(message.find("127.0.0.1:1"), std::string::npos) << message;
  EXPECT_EQ(failure_of(client, get("http://host.invalid/"), &message), http_failure::unreachable);
  EXPECT_NE(message.find("host.invalid"), std::string::npos) << message;
}

TEST(http_client, a_server_without_tls_is_told_from_a_wrong_certificate) {
  odd_server server([&](int connection) {
    char buffer[512];
    (void)!::read(connection, buffer, sizeof buffer);
    send_text(connection, answer("400 Bad Request", "this is HTTP"));
    return false;
  });
  http_client client;
  std::string message;
  EXPECT_EQ(failure_of(client, get("https" + server.url().substr(4)), &message), http_failure::tls);
  EXPECT_NE(message.find("http://"), std::string::npos) << message;
}

TEST(http_client, what_is_no_http_is_an_error) {
  odd_server server([&](int connection) {
    if (read_request(connection).empty()) return false;
    send_text(connection, "SSH-2.0-OpenSSH\r\n");
    return false;
  });
  http_client client;
  EXPECT_THROW((void)client.perform(get(server.url())), http_error);
}

TEST(http_client, the_rate_holds_over_all_connections) {
  odd_server server([&](int connection) {
    if (read_request(connection).empty()) return false;
    send_text(connection, answer("200 OK", std::string(200'000, 'x')));
    return true;
  });
  http_options options;
  options.download_limit = 1'000'000;
  http_client client(options);
  const auto start = std::chrono::steady_clock::now();
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < 3; ++i)
      threads.emplace_back([&] { EXPECT_EQ(client.perform(get(server.url())).received, 200'000u); });
  }
  const auto elapsed = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  EXPECT_GT(elapsed, 0.3);  // 0.6 MB at 1 MB/s, less what is in flight at the end
  EXPECT_LT(elapsed, 30);  // ten times slower would be another limit, or none of the connections' turns
}

TEST(http_client, uploads_are_limited_as_well) {
  odd_server server([&](int connection) {
    if (read_request(connection).empty()) return false;
    send_text(connection, answer("200 OK", ""));
    return true;
  });
  http_options options;
  options.upload_limit = 1'000'000;
  http_client client(options);
  auto request = get(server.url());
  request.method = "PUT";
  const std::string body(1'000'000, 'y');
  request.body = as_bytes(body);
  const auto start = std::chrono::steady_clock::now();
  EXPECT_EQ(client.perform(request).status, 200);
  EXPECT_GT(std::chrono::steady_clock::now() - start, 600ms);
}

TEST(http_client, many_threads_share_it) {
  odd_server server([&](int connection) {
    const auto request = read_request(connection);
    if (request.empty()) return false;
    const auto path = request.substr(4, request.find(' ', 4) - 4);
    send_text(connection, answer("200 OK", path));
    return true;
  });
  http_client client;
  std::vector<std::jthread> threads;
  for (int i = 0; i < 8; ++i)
    threads.emplace_back([&, i] {
      for (int k = 0; k < 50; ++k) {
        const auto path = "/" + std::to_string(i) + "/" + std::to_string(k);
        EXPECT_EQ(client.perform(get(server.url(path))).body, path);
      }
    });
  threads.clear();
  EXPECT_LE(server.connections(), 8);
}

TEST(http_client, certificates_are_checked_before_anything_is_sent) {
  http_options options;
  options.root_certificates = {"/nonexistent/ca.pem"};
  try {
    http_client client(options);
    ADD_FAILURE() << "accepted";
  } catch (const error& problem) {
    EXPECT_EQ(problem.code(), error_code::invalid_argument);
    EXPECT_NE(std::string(problem.what()).find("/nonexistent/ca.pem"), std::string::npos);
  }
}

}  // namespace
