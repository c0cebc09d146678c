"""Tomcat as operators have it, with its own examples, unmodified, and the adapter in its lib and conf: README.md's "all apps"."""

import base64
import json
import re
import shutil
import unittest
from http.client import HTTPException

import needs
import test_java
from support import ADAPTERS, Client, Folder, Recorder, Sidecar, new_key, served, store

HOME = "/usr/share/tomcat10"
PASSWORD = "long-enough"
PROTECTED = "/jsp/security/protected/index.jsp"

SERVER = """<Server port="-1"><Service name="Catalina">
<Connector port="${port}" address="127.0.0.1" maxHttpHeaderSize="32768"/>
<Engine name="Catalina" defaultHost="localhost"><Realm className="org.apache.catalina.realm.MemoryRealm"/>
<Host name="localhost" appBase="webapps"><Context path="" docBase="/usr/share/tomcat10-examples/examples"/>
<Context path="/own" docBase="${catalina.base}/own"/></Host>
</Engine></Service></Server>"""
USERS = f"""<tomcat-users><user username="ann" password="{PASSWORD}" roles="tomcat"/>
<user username="ben" password="{PASSWORD}" roles="role1"/></tomcat-users>"""
WEB = """<web-app xmlns="https://jakarta.ee/xml/ns/jakartaee" version="6.0">{filter}
<servlet><servlet-name>default</servlet-name><servlet-class>org.apache.catalina.servlets.DefaultServlet</servlet-class></servlet>
<servlet><servlet-name>jsp</servlet-name><servlet-class>org.apache.jasper.servlet.JspServlet</servlet-class></servlet>
<servlet-mapping><servlet-name>default</servlet-name><url-pattern>/</url-pattern></servlet-mapping>
<servlet-mapping><servlet-name>jsp</servlet-name><url-pattern>*.jsp</url-pattern></servlet-mapping></web-app>"""


# An app that logs in by itself, and has a page with BASIC.
OWN = {
    "login.jsp": """<% session.setAttribute("n", 1); request.login(request.getParameter("name"), request.getParameter("password")); %>in""",
    "logout.jsp": "<% request.logout(); %>out",
    "who.jsp": "<%= request.getRemoteUser() %>",
    "basic/who.jsp": "<%= request.getRemoteUser() %>",
    "late.jsp": """<% response.flushBuffer(); request.login("ann", request.getParameter("password")); %>""",
    "WEB-INF/web.xml": """<web-app xmlns="https://jakarta.ee/xml/ns/jakartaee" version="6.0">
<security-constraint><web-resource-collection><web-resource-name>basic</web-resource-name>
<url-pattern>/basic/*</url-pattern></web-resource-collection><auth-constraint><role-name>tomcat</role-name></auth-constraint>
</security-constraint><login-config><auth-method>BASIC</auth-method></login-config>
<security-role><role-name>tomcat</role-name></security-role></web-app>""",
}


def setUpModule():
    needs.install({f"{HOME}/bin/bootstrap.jar": "tomcat10-common"})
    test_java.setUpModule()


def tomcat(folder):
    """With the lines that README.md has for web.xml and for context.xml."""
    base = folder / f"tomcat-{len(list(folder.iterdir()))}"
    for name in ["conf", "webapps", "logs", "temp", "work"]:
        (base / name).mkdir(parents=True)
    shutil.copytree(test_java.classes["tomcat10"] / "cloakroom", base / "lib/cloakroom")
    lines = re.findall(r"```xml\n(.*?)```", (ADAPTERS / "java/README.md").read_text(encoding="utf-8"), re.DOTALL)
    for name, text in {
        "server.xml": SERVER,
        "tomcat-users.xml": USERS,
        "web.xml": WEB.format(filter=lines[0]),
        "context.xml": f"<Context>{lines[1]}</Context>",
    }.items():
        (base / "conf" / name).write_text(text, encoding="utf-8")
    for name, text in OWN.items():
        (base / "own" / name).parent.mkdir(parents=True, exist_ok=True)
        (base / "own" / name).write_text(text, encoding="utf-8")
    return served(
        f"{test_java.JAVA} -cp {HOME}/bin/bootstrap.jar:{HOME}/bin/tomcat-juli.jar -Dport=$PORT -Dcatalina.home={HOME} "
        f"-Dcatalina.base={base} org.apache.catalina.startup.Bootstrap start", base)


class Examples(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = Folder()
        cls.addClassCleanup(folder.stop)
        key = new_key(folder.path)
        cls.apps, cls.recorders, cls.sidecars = [], [], []
        for _ in range(2):
            cls.apps.append(tomcat(folder.path))
            cls.addClassCleanup(cls.apps[-1].stop)
            cls.recorders.append(Recorder(cls.apps[-1].port))
            cls.addClassCleanup(cls.recorders[-1].stop)
            cls.sidecars.append(Sidecar(cls.recorders[-1].port, folder.path, key=key, **store(folder.path)))
            cls.addClassCleanup(cls.sidecars[-1].stop)

    def setUp(self):
        self.browser = Client(self.sidecars[0].port)

    def said(self, instance=0):
        return self.recorders[instance].last()

    def log_in(self, name="ann"):
        page = self.browser.get(PROTECTED)
        self.assertIn("j_security_check", page.text)
        answer = self.browser.post("/jsp/security/protected/j_security_check", {"j_username": name, "j_password": PASSWORD})
        self.assertLess(answer.status, 400, answer)
        return self.browser.get(PROTECTED)

    def test_the_example_of_sessions_works(self):
        page = "/servlets/servlet/SessionExample"
        self.assertEqual(self.browser.get(page).status, 200)
        for name, value in [("foo", "bar"), ("name", "Zoë <b>")]:
            answer = self.browser.post(page, {"dataname": name, "datavalue": value})
            self.assertEqual(answer.status, 200, answer)
            self.assertIn("Save", self.said())
        answer = self.browser.get(page)
        self.assertIn("foo = bar", answer.text)
        self.assertIn("Zo", answer.text)
        self.assertNotIn("JSESSIONID", str(answer.headers))
        first = re.search(r"Session ID:? *([\w-]+)", answer.text)
        self.assertEqual(self.said(), {})
        self.assertEqual(re.search(r"Session ID:? *([\w-]+)", self.browser.get(page).text)[1], first[1])

    def test_whom_tomcats_own_log_in_knows_is_known_at_the_other_instance(self):
        page = self.log_in()
        self.assertIn("<b>ann</b>", page.text)
        self.assertIn("You have been granted role", self.browser.get(f"{PROTECTED}?role=tomcat").text)
        there = self.browser.other(self.sidecars[1].port)
        there.cookies.pop("JSESSIONID")
        self.assertIn("<b>ann</b>", there.get(PROTECTED).text)
        self.assertIn("You have been granted role", there.get(f"{PROTECTED}?role=tomcat").text)
        self.assertIn("You have <i>not</i> been granted role", there.get(f"{PROTECTED}?role=role1").text)
        before = self.sidecars[1].writes()
        there.get(PROTECTED)
        self.assertEqual(self.sidecars[1].writes(), before)

    def test_a_log_in_renews_the_session_and_keeps_what_is_in_it(self):
        self.browser.post("/servlets/servlet/SessionExample", {"dataname": "foo", "datavalue": "bar"})
        self.log_in()
        login = next(each for each in self.recorders[0].exchanges if each["path"].endswith("j_security_check"))
        self.assertEqual(login["Renew"], "1")
        self.assertEqual(login["Merge"], '{"_java_user":{"name":"ann","roles":["tomcat"]}}')
        page = self.browser.get("/servlets/servlet/SessionExample").text
        self.assertIn("foo = bar", page)
        self.assertNotIn("_java_user", page)

    def test_a_log_out_ends_the_session_at_each_instance_and_each_copy(self):
        self.log_in()
        old = dict(self.browser.cookies)
        self.assertIn("JSESSIONID", old)
        there = Client(self.sidecars[1].port, {"session": old["session"]})
        there.get(f"{PROTECTED}?logoff=true")
        self.assertEqual(self.said(1), {"Delete": "1"})
        # Of the session that Tomcat itself has at the first instance nobody is taken for anybody.
        for browser in [self.browser, Client(self.sidecars[0].port, old)]:
            self.assertIn("j_security_check", browser.get(PROTECTED).text)
        self.log_in("ben")
        self.assertIn("<b>ben</b>", self.browser.get(PROTECTED).text)

    def test_a_log_out_where_the_log_in_was_ends_tomcats_own_session_too(self):
        self.log_in()
        self.browser.get(f"{PROTECTED}?logoff=true")
        self.assertNotIn("session", self.browser.cookies)
        self.assertIn("j_security_check", self.browser.get(PROTECTED).text)

    def test_the_example_that_keeps_an_object_in_the_session_says_which(self):
        answer = self.browser.get("/jsp/sessions/carts.jsp?item=X+files+movie&submit=add")
        self.assertEqual((answer.status, self.said()), (500, {}), answer)
        self.apps[0].find("session: cart is a sessions.DummyCart, which JSON cannot hold")

    def test_the_user_cannot_be_set_as_an_attribute(self):
        value = '{"name":"root","roles":["tomcat"]}'
        answer = self.browser.post("/servlets/servlet/SessionExample", {"dataname": "_java_user", "datavalue": value})
        self.assertEqual(answer.status, 500, answer)
        self.assertEqual(self.said(), {})
        self.assertIn("j_security_check", self.browser.get(PROTECTED).text)

    def test_a_user_that_the_valve_has_not_written_is_refused(self):
        for user in ['"root"', "{}", '{"name":7,"roles":[]}', '{"name":"root","roles":[7]}']:
            with self.subTest(user):
                self.browser.cookies["session"] = self.sidecars[0].token(f'{{"_java_user":{user}}}')
                answer = self.browser.get(PROTECTED)
                self.assertEqual(answer.status, 500, answer)

    def test_an_app_may_log_in_and_out_by_itself(self):
        self.assertEqual(self.browser.get("/own/who.jsp").text, "null")
        answer = self.browser.post("/own/login.jsp", {"name": "ann", "password": PASSWORD})
        self.assertEqual((answer.status, self.said()["Renew"]), (200, "1"))
        there = self.browser.other(self.sidecars[1].port)
        self.assertEqual(there.get("/own/who.jsp").text, "ann")
        self.assertEqual(self.said(1), {})
        self.assertEqual(there.get("/own/logout.jsp").text, "out")
        self.assertEqual(self.said(1), {"Merge": '{"_java_user":null}', "Renew": "1"})
        self.assertEqual(self.browser.get("/own/who.jsp").text, "null")
        self.assertEqual(json.loads(self.recorders[0].exchanges[-1]["in"]), {"n": 1})

    def test_a_password_with_each_request_makes_no_session(self):
        basic = {"Authorization": "Basic " + base64.b64encode(f"ann:{PASSWORD}".encode()).decode()}
        self.assertEqual(self.browser.get("/own/basic/who.jsp").status, 401)
        answer = self.browser.get("/own/basic/who.jsp", headers=basic)
        self.assertEqual((answer.text, self.said(), self.browser.cookies), ("ann", {}, {}))
        self.assertEqual(self.browser.get("/own/basic/who.jsp").status, 401)

    def test_a_log_in_after_the_head_is_an_error_in_the_log(self):
        with self.assertRaises(HTTPException):  # Tomcat breaks off what had begun
            Client(self.apps[0].port).post("/own/late.jsp", {"password": PASSWORD}, headers={"X-Session": "{}"})
        self.apps[0].find("the headers were sent before the log-in")

    def test_without_the_header_nobody_logs_in(self):
        direct = Client(self.apps[0].port)
        direct.get(PROTECTED)
        answer = direct.post("/jsp/security/protected/j_security_check", {"j_username": "ann", "j_password": PASSWORD})
        self.assertEqual(answer.status, 500, answer)
        self.assertIn("j_security_check", direct.get(PROTECTED).text)
        self.apps[0].find("X-Session is missing")


if __name__ == "__main__":
    unittest.main()
