package cloakroom;

import jakarta.servlet.ServletException;
import java.io.IOException;
import java.security.Principal;
import java.util.*;
import java.util.stream.Collectors;
import org.apache.catalina.Session;
import org.apache.catalina.connector.Request;
import org.apache.catalina.connector.Response;
import org.apache.catalina.realm.GenericPrincipal;
import org.apache.catalina.valves.ValveBase;

/**
 * Log-in by Tomcat itself (FORM of web.xml, request.login()) behind cloakroom: name and roles of the user are only in the
 * session of X-Session. A valve beside the filter, because it must run before the log-in, which a filter cannot:
 * {@code <Valve className="cloakroom.CloakroomValve"/>} in conf/context.xml.
 */
public class CloakroomValve extends ValveBase {
    static final String USER = "_java_user"; // {"name":…,"roles":[…]}, which the filter does not show
    private String header = "X-Session";

    public CloakroomValve() { super(true); }

    /** The prefix of the headers' names. */
    public void setHeader(String header) { this.header = header; }

    @Override public void invoke(Request request, Response response) throws IOException, ServletException {
        String text = request.getHeader(header);
        GenericPrincipal known = text == null ? null : user(text);
        // Tomcat also keeps users in its own session, which may not know of a log-out at another instance.
        Session own = request.getSessionInternal(false);
        if (own != null && own.getPrincipal() != null && (known == null || !known.getName().equals(own.getPrincipal().getName()))) {
            own.setPrincipal(null);
            own.setAuthType(null);
        }
        boolean given = request.getUserPrincipal() != null; // set by the server in front, over AJP
        if (known != null && !given) {
            request.setUserPrincipal(known);
            request.setAuthType("FORM");
        }
        getNext().invoke(request, response);

        // A password or a certificate in each request (BASIC, DIGEST, CLIENT-CERT) creates no session.
        if (given || request.getHeader("Authorization") != null || "CLIENT_CERT".equals(request.getAuthType())) return;
        Principal now = request.getUserPrincipal();
        if (now == null) {
            own = request.getSessionInternal(false); // FORM has just created one, and redirected the browser to its page
            now = own == null ? null : own.getPrincipal();
        }
        boolean ended = response.getHeader(header + "-Delete") != null && response.getHeader(header + "-Save") == null;
        if (ended || (now == null ? known == null : known != null && now.getName().equals(known.getName()))) return;
        if (text == null) throw new IllegalStateException(header + " is missing: this log-in did not come through cloakroom, or its route has no session; let only cloakroom reach the app");
        if (response.isCommitted()) throw new IllegalStateException("session: the headers were sent before the log-in or the log-out, so it is not saved");
        response.setHeader(header + "-Merge", "{\"" + USER + "\":" + (now == null ? "null" : json(now)) + "}");
        response.setHeader(header + "-Renew", "1");
        response.setHeader("Cache-Control", CloakroomFilter.unshared(response.getHeaders("Cache-Control")));
        // A new session ends with the browser, like Tomcat's own.
        if (text.equals("{}") && response.getHeader(header + "-Max-Age") == null) response.setHeader(header + "-Max-Age", "0");
    }

    private static String json(Principal user) {
        if (!(user instanceof GenericPrincipal)) throw new IllegalStateException("session: the user is a " + user.getClass().getName() + ", whose roles are unknown; use a Realm of Tomcat's own");
        Map<String, Object> value = new LinkedHashMap<>();
        value.put("name", user.getName());
        value.put("roles", Arrays.asList(((GenericPrincipal) user).getRoles()));
        return CloakroomFilter.Json.write(value, USER, 1);
    }

    @SuppressWarnings("deprecation") // this constructor exists in Tomcat 9 too
    private static GenericPrincipal user(String text) throws ServletException {
        try {
            Object found = new CloakroomFilter.Json(text).members(new HashMap<>()).get(USER);
            if (found == null) return null;
            Map<?, ?> value = (Map<?, ?>) found;
            List<String> roles = ((List<?>) value.get("roles")).stream().map(String.class::cast).collect(Collectors.toList());
            return new GenericPrincipal((String) value.get("name"), null, roles);
        } catch (RuntimeException broken) {
            throw new ServletException("X-Session cannot be read, or its " + USER + " is not what this valve has written"); // the cause would quote the session
        }
    }
}
