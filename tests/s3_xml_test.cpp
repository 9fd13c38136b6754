// Reading and writing S3's XML.
#include <recoup/s3/xml.hpp>

#include "test_data.hpp"

namespace recoup {
namespace {

constexpr char listing[] = R"(<?xml version="1.0" encoding="UTF-8"?>
<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>backups</Name><Prefix></Prefix>
  <IsTruncated>false</IsTruncated>
  <Contents><Key> a &amp; b&#13;&#x0A;</Key><Size>3</Size><Owner><ID>one</ID></Owner></Contents>
  <Contents><Key><![CDATA[<c>]]></Key><Size>4</Size></Contents>
  <CommonPrefixes><Prefix>d/</Prefix></CommonPrefixes>
</ListBucketResult>)";

void refused(std::string_view expected, std::string_view text, std::string_view root = {}, xml_limits limits = {}) {
  expect_error(error_code::io, expected, [&] { (void)parse_xml(text, "the answer", root, limits); });
}

TEST(s3_xml_test, a_tree) {
  const auto root = parse_xml(listing, "the list", "ListBucketResult");
  EXPECT_EQ(root.name, "ListBucketResult");
  EXPECT_EQ(root.text, "");
  EXPECT_EQ(root.text_of("Name"), "backups");
  ASSERT_NE(root.first("Prefix"), nullptr);
  EXPECT_EQ(root.first("Prefix")->text, "");
  EXPECT_EQ(root.first("Contents", "Owner", "ID")->text, "one");
  EXPECT_EQ(root.first("Contents", "Missing", "ID"), nullptr);
  EXPECT_EQ(root.text_of("Missing", "ID"), "");
  EXPECT_EQ(root.first(), &root);

  std::vector<std::string_view> keys;
  for (const auto& each : root.all("Contents")) keys.push_back(each.text_of("Key"));
  EXPECT_EQ(keys, (std::vector<std::string_view>{" a & b\r\n", "<c>"}));
}

TEST(s3_xml_test, prefixes_and_attributes_do_not_count) {
  const auto root = parse_xml("<s:A xmlns:s='x'><s:B k='v'>1</s:B><C xmlns='y'/></s:A>", "the answer");
  EXPECT_EQ(root, (xml_element{"A", "", {{"B", "1", {}}, {"C", "", {}}}}));
}

TEST(s3_xml_test, encodings_that_are_declared_come_as_utf_8) {
  EXPECT_EQ(parse_xml("<?xml version='1.0' encoding='ISO-8859-1'?><a>\xe4</a>", "the answer").text, "\xc3\xa4");
  EXPECT_EQ(parse_xml("\xef\xbb\xbf<a>\xc3\xa4</a>", "the answer").text, "\xc3\xa4");
}

TEST(s3_xml_test, texts_beside_children_stay) {
  EXPECT_EQ(parse_xml("<a>x<b/> y</a>", "the answer").text, "x y");
  EXPECT_EQ(parse_xml("<a>  </a>", "the answer").text, "  ");
}

TEST(s3_xml_test, foreign_answers_are_quoted) {
  refused("the answer is empty", "");
  refused("the answer is empty", " \r\n");
  refused("begins with \"404 page not found\"", "404 page not found\n\n");
  refused("begins with \"upstream \\x00\\x1b[31m", std::string_view("upstream \0\x1b[31m", 15));
  refused("begins with \"<!DOCTYPE html><html><head>", "\n<!DOCTYPE html><html><head><title>MinIO Console</title>");
  refused("DOCTYPE", "<!DOCTYPE html><html></html>");
  refused("<html> stands where <ListBucketResult> must", "<html><body>502</body></html>", "ListBucketResult");
  refused("\"<" + std::string(119, 'a') + "…\"", "<" + std::string(1000, 'a'));
  refused("{\\\"error\\\": 1}", "{\"error\": 1}");
}

TEST(s3_xml_test, cut_off_or_broken_answers) {
  const std::string_view whole = listing;
  for (std::size_t length = 1; length < whole.size(); ++length) {
    if (whole.substr(0, length).find_first_not_of(" \r\n") == std::string_view::npos) continue;
    EXPECT_THROW((void)parse_xml(whole.substr(0, length), "the answer"), error) << length;
  }
  refused("no valid XML: mismatched tag in line 2", "<a>\n<b></a>");
  refused("no valid XML", "<a></a><b></b>");
  refused("no valid XML", "<a>\xff</a>");
  refused("no valid XML", "<a>&undeclared;</a>");
  refused("no valid XML", "<a>\x01</a>");
}

TEST(s3_xml_test, entities_cannot_be_declared) {
  refused("DOCTYPE", "<!DOCTYPE a [<!ENTITY b SYSTEM 'file:///etc/passwd'>]><a>&b;</a>");
  refused("DOCTYPE", "<!DOCTYPE a [<!ENTITY b 'xx'><!ENTITY c '&b;&b;'>]><a>&c;</a>");
}

TEST(s3_xml_test, limits) {
  std::string deep, close;
  for (int i = 0; i < 32; ++i) deep += "<a>", close += "</a>";
  EXPECT_NO_THROW((void)parse_xml(deep + close, "the answer"));
  refused("too deep", deep + "<a>" + close + "</a>");
  refused("too many elements", "<a><b/><b/><b/></a>", {}, {1000, 32, 3});
  EXPECT_NO_THROW((void)parse_xml("<a><b/><b/></a>", "the answer", {}, {1000, 32, 3}));
  refused("20 bytes are more than the 19 allowed", "<a>" + std::string(13, ' ') + "</a>", {}, {19, 32, 3});
}

TEST(s3_xml_test, writing) {
  xml_writer document("Delete");
  document.element("Quiet", "true");
  for (const char* key : {"a<b>&\"c\"", "d\r\n\te"}) document.begin("Object").element("Key", key).end();
  EXPECT_EQ(document.take(),
            "<Delete xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Quiet>true</Quiet>"
            "<Object><Key>a&lt;b&gt;&amp;&quot;c&quot;</Key></Object>"
            "<Object><Key>d&#13;&#10;&#9;e</Key></Object></Delete>");
  EXPECT_EQ(xml_writer("A", "").begin("B").element("C", "").take(), "<A><B><C></C></B></A>");
}

TEST(s3_xml_test, what_is_written_comes_back) {
  for (const std::string_view text :
       {"", " a ", "\r\n\t", "<![CDATA[]]>", "&amp;", "\u00e4\u1234\U0001f600", "'\"", "\x7f"})
    EXPECT_EQ(parse_xml(xml_writer("a").element("b", text).take(), "the answer").text_of("b"), text);
}

TEST(s3_xml_test, what_xml_cannot_hold) {
  for (const auto text : {std::string_view("\0", 1), std::string_view("a\x01"), std::string_view("\x1f"),
                          std::string_view("\xff"), std::string_view("\uffff"), std::string_view("\xed\xa0\x80")}) {
    EXPECT_FALSE(is_xml_text(text));
    expect_error(error_code::invalid_argument, "cannot be sent in XML", [&] { xml_writer("a").element("b", text); });
  }
  EXPECT_TRUE(is_xml_text("a\t\r\n\x7f\u00e4\ufffd"));
}

}  // namespace
}  // namespace recoup
