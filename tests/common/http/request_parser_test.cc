// SPDX-License-Identifier: Apache-2.0
//
// What counts as a request. Each refused one is a way to make two parties disagree about where a
// request ends, or to use up memory.
#include "common/http/request_parser.h"

#include <gtest/gtest.h>

namespace longshore::http {
namespace {

// 0: accepted; else the status it is refused with; -1: unfinished. Fed in pieces of `step` bytes.
int StatusOf(std::string_view bytes, size_t step) {
  RequestParser parser(1024);
  std::string input;
  while (!bytes.empty() && !parser.rejection() && !parser.done()) {
    input += bytes.substr(0, step);
    bytes.remove_prefix(std::min(step, bytes.size()));
    input.erase(0, parser.Feed(input));
  }
  if (parser.rejection()) return parser.rejection()->status;
  return parser.done() ? 0 : -1;
}

struct Case {
  const char* name;
  std::string bytes;
  int status;
};

std::string Post(const std::string& headers, const std::string& body) {
  return "POST /x HTTP/1.1\r\nHost: h\r\n" + headers + "\r\n" + body;
}

std::vector<Case> Cases() {
  const std::string chunked = "Transfer-Encoding: chunked\r\n";
  return {
      {"Plain", "GET / HTTP/1.1\r\nHost: h\r\n\r\n", 0},
      {"Http10WithoutHost", "GET / HTTP/1.0\r\n\r\n", 0},
      {"Body", Post("Content-Length: 3\r\n", "abc"), 0},
      {"Chunked", Post(chunked, "3\r\nabc\r\n0\r\n\r\n"), 0},
      {"ChunkedAndEmpty", Post(chunked, "0\r\n\r\n"), 0},
      {"ChunkedWithExtensionAndTrailer", Post(chunked, "3;a=b\r\nabc\r\n0\r\nX: y\r\n\r\n"), 0},
      {"Unfinished", Post("Content-Length: 4\r\n", "abc"), -1},
      {"TooLong", Post("Content-Length: 1025\r\n", ""), 413},
      {"ChunkedTooLong", Post(chunked, "800\r\n" + std::string(2048, 'x') + "\r\n0\r\n\r\n"), 413},
      {"ManyChunksTooLong",
       Post(chunked, "300\r\n" + std::string(768, 'x') + "\r\n300\r\n" + std::string(768, 'x') +
                         "\r\n0\r\n\r\n"),
       413},
      {"LengthAndChunked", Post("Content-Length: 3\r\n" + chunked, "0\r\n\r\n"), 400},
      {"ChunkedAndLength", Post(chunked + "Content-Length: 3\r\n", "0\r\n\r\n"), 400},
      {"TwoLengths", Post("Content-Length: 3\r\nContent-Length: 4\r\n", "abcd"), 400},
      {"LengthWithSign", Post("Content-Length: +3\r\n", "abc"), 400},
      {"NegativeLength", Post("Content-Length: -3\r\n", "abc"), 400},
      {"LengthOverflow", Post("Content-Length: 18446744073709551617\r\n", "a"), 400},
      {"ChunkSizeWithSign", Post(chunked, "-1\r\nabc\r\n0\r\n\r\n"), 400},
      {"ChunkSizeWithPrefix", Post(chunked, "0x3\r\nabc\r\n0\r\n\r\n"), 400},
      {"ChunkSizeWraps", Post(chunked, "10000000000000003\r\nabc\r\n0\r\n\r\n"), 400},
      {"OtherCoding", Post("Transfer-Encoding: gzip, chunked\r\n", "0\r\n\r\n"), 501},
      {"UnknownCoding", Post("Transfer-Encoding: xchunked\r\n", ""), 501},
      {"ChunkedInHttp10", "POST / HTTP/1.0\r\n" + chunked + "\r\n0\r\n\r\n", 501},
      {"CompressedBody", Post("Content-Encoding: gzip\r\nContent-Length: 1\r\n", "x"), 415},
      {"SpaceBeforeColon", Post("Content-Length : 3\r\n", "abc"), 400},
      {"BareNewlines", "GET / HTTP/1.1\nHost: h\n\n", 400},
      {"ControlInHeader", "GET / HTTP/1.1\r\nHost: h\r\nX: a\x01z\r\n\r\n", 400},
      {"NoHost", "GET / HTTP/1.1\r\n\r\n", 400},
      {"TwoHosts", "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400},
      {"NoVersion", "GET /\r\n\r\n", 400},
      {"Http2Preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400},
      {"Garbage", std::string("\x16\x03\x01\x02\x00\x01\r\n\r\n", 10), 400},
      {"HeaderTooLong", "GET / HTTP/1.1\r\nHost: h\r\nX: " + std::string(40000, 'x') + "\r\n\r\n",
       431},
      {"HeaderWithoutEnd", "GET /" + std::string(40000, 'x'), 431},
  };
}

class RequestParserTest : public ::testing::TestWithParam<Case> {};

// However the bytes are cut.
TEST_P(RequestParserTest, Decides) {
  for (const size_t step : {size_t{1} << 20, size_t{1000}, size_t{7}, size_t{1}}) {
    const int status = StatusOf(GetParam().bytes, step);
    if (step > 100 || GetParam().status == 0) {
      EXPECT_EQ(status, GetParam().status) << "in pieces of " << step;
    } else {
      EXPECT_NE(status, 0) << "in pieces of " << step;  // cut finely, it may just never end
    }
  }
}
INSTANTIATE_TEST_SUITE_P(Requests, RequestParserTest, ::testing::ValuesIn(Cases()),
                         [](const auto& info) { return info.param.name; });

TEST(RequestParserTest, LeavesTheNextRequestAlone) {
  const std::string first = Post("Content-Length: 3\r\n", "abc");
  RequestParser parser(1024);
  EXPECT_EQ(parser.Feed(first + "GET /next"), first.size());
  ASSERT_TRUE(parser.done());
  const Request request = parser.TakeRequest();
  EXPECT_EQ(request.body, "abc");
  EXPECT_EQ(request.path, "/x");
  parser.Reset();
  EXPECT_FALSE(parser.started());
}

// Found by http_fuzz: a trailer's Host was the header's second one if all came in one piece.
TEST(RequestParserTest, TrailersChangeNothing) {
  const std::string bytes = Post("Authorization: a\r\nTransfer-Encoding: chunked\r\n",
                                 "0\r\nHost: other\r\nAuthorization: b\r\nX: y\r\n\r\n");
  for (const size_t step : {bytes.size(), size_t{100}}) {
    SCOPED_TRACE(step);
    RequestParser parser(1024);
    std::string input;
    for (size_t at = 0; at < bytes.size(); at += step) {
      input += bytes.substr(at, step);
      input.erase(0, parser.Feed(input));
    }
    ASSERT_TRUE(parser.done());
    const Request request = parser.TakeRequest();
    EXPECT_EQ(request.Header("host"), "h");
    EXPECT_EQ(request.Header("authorization"), "a");
    EXPECT_EQ(request.Header("x"), "");
  }
}

// cpp-httplib's server made "a%0d%0ab" two lines.
TEST(RequestParserTest, HeaderValuesAreTakenAsTheyAre) {
  RequestParser parser(1024);
  parser.Feed("GET / HTTP/1.1\r\nHost: h\r\nX-Key: a%0d%0ab\r\n\r\n");
  ASSERT_TRUE(parser.done());
  EXPECT_EQ(parser.TakeRequest().Header("x-key"), "a%0d%0ab");
}

}  // namespace
}  // namespace longshore::http
